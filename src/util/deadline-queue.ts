import { type Linked, LinkedSet } from "./linked-set.js";

/** Something that may take a time that is the same for all in one {@link DeadlineQueue}. */
export interface Timed extends Linked {
  /** On the clock of `performance.now()`. */
  readonly startedAt: number;
}

/**
 * Ends what takes too long, with one timer for all: since everybody has the same time, who came first is due first.
 * The timer does not keep the process alive.
 */
export class DeadlineQueue<T extends Timed> {
  readonly #timeoutMs: number;
  readonly #expired: (item: T) => void;
  readonly #items: LinkedSet<T> = new LinkedSet();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number, expired: (item: T) => void) {
    this.#timeoutMs = timeoutMs;
    this.#expired = expired;
  }

  add(item: T): void {
    this.#items.add(item);
    if (!this.#timer) this.#arm(this.#timeoutMs);
  }

  /** Whether it was there: neither expired nor taken out before. */
  delete(item: T): boolean {
    return this.#items.delete(item);
  }

  /** @returns what was there */
  clear(): readonly T[] {
    const items = this.#items.all();
    for (const item of items) this.#items.delete(item);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return items;
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(ms)));
    this.#timer.unref();
  }

  #tick(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (let item = this.#items.first; item; item = this.#items.first) {
      const left = item.startedAt + this.#timeoutMs - now;
      if (left > 0) {
        this.#arm(left);
        return;
      }
      this.#items.delete(item);
      this.#expired(item);
    }
  }
}
