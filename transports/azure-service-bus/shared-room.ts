/** Who waits for room. */
export interface RoomSeeker {
  /** There is room now, and it is taken. */
  admitted(): void;
}

/**
 * The room for deliveries that all sessions of an endpoint share, first come, first served. One session never has all of it, so that a key that waits for a retry
 * in front of many others stops its own session alone.
 */
export class SharedRoom {
  readonly #total: number;
  readonly #most: number;
  readonly #taken = new Map<RoomSeeker, number>();
  readonly #waiting = new Set<RoomSeeker>();
  #inUse = 0;

  constructor(total: number) {
    this.#total = total;
    this.#most = Math.max(1, Math.ceil(total / 2));
  }

  /** Whether nothing more has room. */
  get isFull(): boolean {
    return this.#inUse >= this.#total;
  }

  /** Of one session. */
  get mostOfOne(): number {
    return this.#most;
  }

  /** Takes room for one: `admitted` is called at once, or when there is some. */
  take(seeker: RoomSeeker): void {
    this.#waiting.add(seeker);
    this.#admitWaiting();
  }

  /** One that had room has gone. */
  give(seeker: RoomSeeker): void {
    const left = (this.#taken.get(seeker) ?? 0) - 1;
    if (left < 0) return;
    if (left === 0) this.#taken.delete(seeker);
    else this.#taken.set(seeker, left);
    this.#inUse--;
    // Not at once: where several sessions end together, the next one's room must not go to one that is about to end too, and would begin a run.
    queueMicrotask(() => this.#admitWaiting());
  }

  /** It waits no longer. */
  leave(seeker: RoomSeeker): void {
    this.#waiting.delete(seeker);
  }

  #admitWaiting(): void {
    for (const seeker of this.#waiting) {
      if (this.#inUse >= this.#total) return;
      if (!this.#hasRoomFor(seeker)) continue;
      this.#waiting.delete(seeker);
      this.#admit(seeker);
      seeker.admitted();
    }
  }

  #hasRoomFor(seeker: RoomSeeker): boolean {
    return this.#inUse < this.#total && (this.#taken.get(seeker) ?? 0) < this.#most;
  }

  #admit(seeker: RoomSeeker): void {
    this.#inUse++;
    this.#taken.set(seeker, (this.#taken.get(seeker) ?? 0) + 1);
  }
}
