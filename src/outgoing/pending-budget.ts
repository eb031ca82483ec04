/** Bounds, by count, what waits in this process to be sent: publishes on their way and messages held back by handlers (P5). */
export class PendingBudget {
  readonly max: number;
  readonly #whole: PendingBudget | undefined;
  #used = 0;

  constructor(max: number, whole?: PendingBudget) {
    this.max = max;
    this.#whole = whole;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes one place; false when there is none. */
  take(): boolean {
    if (this.#used >= this.max) return false;
    this.#count(1);
    return true;
  }

  give(places: number): void {
    this.#count(-places);
  }

  /**
   * For one run of a handler: as many places of its own, which count here too and are had although all here are taken. That others publish much is no
   * fault of the run's, and it cannot wait for their places: they may be held by runs that wait as well.
   */
  ofRun(): PendingBudget {
    return new PendingBudget(this.max, this);
  }

  #count(places: number): void {
    this.#used += places;
    if (this.#whole) this.#whole.#count(places);
  }
}
