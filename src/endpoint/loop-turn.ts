/** Handlers that compute may hold one turn of the event loop for so long; those that are left run in the next. */
const BUDGET_MS = 50;
/** After so long without a handler nothing is known any more of how long the next will compute. */
const FORGET_AFTER_MS = 1000;

/**
 * How much of this turn of the event loop the handlers of the process have taken. A handler that computes lets nothing else run, and many of them that begin one after
 * the other keep timers and sockets waiting for their sum: heartbeats that are due meanwhile, which a broker takes for death when they come late.
 *
 * Most compute after their first `await`, when all that came with them would have begun already. So one begins, and when it has computed two, four and more at once, as many
 * as have time at the pace of those before them.
 */
export class LoopTurn {
  readonly #waiting: (() => void)[] = [];
  /** When this turn began, as far as it was looked at. */
  #began: number | undefined;
  /** The latest look at the clock. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** So many have begun since. */
  #entered = 0;
  /** So many may begin before the next look. */
  #atOnce = 1;
  #willLook = false;

  /** Begins a handler now, unless this turn may have no time for one more, or others wait. */
  tryEnter(): boolean {
    if (this.#began === undefined) this.#begin();
    if (this.#entered >= this.#atOnce || this.#waiting.length > 0 || this.#spent(performance.now()) >= BUDGET_MS) return false;
    this.#entered++;
    return true;
  }

  /** Waits for time to begin a handler, first come, first served. */
  enter(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#lookAfterwards();
    });
  }

  #spent(now: number): number {
    return now - (this.#began ?? now);
  }

  #begin(): void {
    const now = performance.now();
    if (now - this.#lookedAt > FORGET_AFTER_MS) this.#atOnce = 1;
    this.#began = now;
    this.#lookedAt = now;
    this.#entered = 0;
    setImmediate(this.#ended);
  }

  readonly #ended = (): void => {
    this.#learn(performance.now(), BUDGET_MS);
    this.#began = undefined;
    if (this.#waiting.length === 0) return;
    this.#begin();
    this.#letIn();
  };

  /** A tick comes after all that follows from this one in the same stretch, the computing of its handlers included. */
  #lookAfterwards(): void {
    if (this.#willLook) return;
    this.#willLook = true;
    queueMicrotask(() => process.nextTick(this.#look));
  }

  readonly #look = (): void => {
    this.#willLook = false;
    if (this.#began === undefined) this.#begin();
    const now = performance.now();
    const left = BUDGET_MS - this.#spent(now);
    if (left <= 0) return;
    this.#learn(now, left);
    this.#letIn();
  };

  /** @param left how much time there is for those that may begin now */
  #learn(now: number, left: number): void {
    if (this.#entered > 0) {
      const each = (now - this.#lookedAt) / this.#entered;
      this.#atOnce = Math.max(1, Math.min(Math.floor(left / each), Math.max(this.#atOnce, 2 * this.#entered)));
    }
    this.#lookedAt = now;
    this.#entered = 0;
  }

  #letIn(): void {
    if (this.#waiting.length === 0) return;
    const entering = this.#waiting.splice(0, this.#atOnce);
    this.#entered = entering.length;
    for (const enter of entering) enter();
    this.#lookAfterwards();
  }
}

/** That of this process, for every endpoint of every bus. */
export const processLoop: LoopTurn = new LoopTurn();
