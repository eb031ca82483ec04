/** Handlers that compute may hold one turn of the event loop for so long; those that are left run in the next. */
const BUDGET_MS = 50;

/**
 * How much of this turn of the event loop the handlers of the process have taken. A handler that computes lets nothing else run, and many of them that begin one after
 * the other keep timers and sockets waiting for their sum: heartbeats that are due meanwhile, which a broker takes for death when they come late.
 */
export class LoopTurn {
  readonly #waiting: (() => void)[] = [];
  /** When this turn began, as far as it was looked at. */
  #began: number | undefined;

  /** Whether one more may run in this turn. */
  get hasTime(): boolean {
    if (this.#began === undefined) this.#begin();
    return this.#waiting.length === 0 && this.#isWithinBudget;
  }

  /** Waits for a turn with time, first come, first served. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get #isWithinBudget(): boolean {
    return performance.now() - (this.#began ?? Number.NEGATIVE_INFINITY) < BUDGET_MS;
  }

  #begin(): void {
    this.#began = performance.now();
    setImmediate(this.#ended);
  }

  readonly #ended = (): void => {
    this.#began = undefined;
    if (this.#waiting.length === 0) return;
    this.#begin();
    this.#letIn();
  };

  readonly #letIn = (): void => {
    if (!this.#isWithinBudget) return;
    const enter = this.#waiting.shift();
    if (!enter) return;
    enter();
    // A tick comes after all that follows from this one in the same stretch, its handler's computing included.
    queueMicrotask(() => process.nextTick(this.#letIn));
  };
}

/** That of this process, for every endpoint of every bus. */
export const processLoop: LoopTurn = new LoopTurn();
