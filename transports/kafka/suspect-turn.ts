import { delay } from "../../src/util/delay.js";

/**
 * Who of this process may begin a record alone. The beginning is committed, and a death counts against all that had begun, whichever it was that
 * killed the process: a suspect of another endpoint that had begun meanwhile, though it does not run yet, would end as crashed with it.
 */
export class SuspectTurn {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  /** Waits at most `ms`, and no longer than until `cut` aborts. @returns whether the turn is the caller's, who then must {@link give} it */
  async take(ms: number, cut: AbortSignal): Promise<boolean> {
    const until = performance.now() + ms;
    while (this.#isTaken) {
      const left = until - performance.now();
      if (left <= 0 || cut.aborted) return false;
      const given = new AbortController();
      this.#waiting.push(() => given.abort());
      await delay(left, given.signal, cut);
    }
    if (cut.aborted) return false;
    this.#isTaken = true;
    return true;
  }

  give(): void {
    this.#isTaken = false;
    for (const tell of this.#waiting.splice(0)) tell();
  }
}

/** The one turn of this process, for all endpoints of all buses: a death takes all of them. */
export const suspectTurn: SuspectTurn = new SuspectTurn();
