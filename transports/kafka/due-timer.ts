/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls `due` at the earliest of the times that were asked for, with one timer for all. */
export class DueTimer {
  readonly #due: () => void;
  #at = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(due: () => void) {
    this.#due = due;
  }

  /** @param at a time of `Date.now()` */
  wakeAt(at: number): void {
    if (at >= this.#at) return;
    this.stop();
    this.#at = at;
    this.#timer = setTimeout(
      () => {
        this.stop();
        this.#due();
      },
      Math.min(LONGEST_TIMER_MS, Math.max(1, at - Date.now())),
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#at = Number.POSITIVE_INFINITY;
  }
}
