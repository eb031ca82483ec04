import { delay } from "./delay.js";

/**
 * Who of this process may hold a suspect. Brokers count every death against all that the process held, whichever message it was that killed
 * it: a suspect of another endpoint that is held meanwhile, though it does not run, would end as crashed with it.
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
