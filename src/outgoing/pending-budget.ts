/** Bounds, by count, what waits in this process to be sent: publishes on their way and messages held back by handlers (P5). */
export class PendingBudget {
  readonly max: number;
  #used = 0;

  constructor(max: number) {
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes one place; false when there is none. */
  take(): boolean {
    if (this.#used >= this.max) return false;
    this.#used++;
    return true;
  }

  give(places: number): void {
    this.#used -= places;
  }
}
