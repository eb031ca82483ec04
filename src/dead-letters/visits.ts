import { setMaxListeners } from "node:events";

/** The looks at dead letters that are under way, so that a stop can end them and wait for them. */
export class Visits {
  readonly #ending = new AbortController();
  readonly #underWay: Set<Promise<unknown>> = new Set();

  constructor() {
    // Every visit listens to it.
    setMaxListeners(0, this.ending);
  }

  /** Aborts when the bus begins to stop: no further letter is taken. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Counts `visit` among those that are waited for. */
  async during<T>(visit: Promise<T>): Promise<T> {
    this.#underWay.add(visit);
    try {
      return await visit;
    } finally {
      this.#underWay.delete(visit);
    }
  }

  /** Lets no further letter be taken; resolves when all visits have ended. */
  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.allSettled(this.#underWay);
  }
}
