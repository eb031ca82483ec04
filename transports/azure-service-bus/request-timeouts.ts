import { setMaxListeners } from "node:events";

/** Requests that begin within one such slice of time share a signal. */
const SLICE_MS = 100;

/** Signals that end requests which are not answered. One for each request would cost 15 us of processor time, as much as a publish. */
export class RequestTimeouts {
  readonly #timeoutMs: number;
  #current: AbortSignal | undefined;
  #currentEndsAt = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** For a request that begins now: aborts after the timeout, counted from the end of the slice, so that nobody's is cut short. */
  get current(): AbortSignal {
    const now = performance.now();
    if (!this.#current || now >= this.#currentEndsAt) {
      this.#current = AbortSignal.timeout(this.#timeoutMs + SLICE_MS);
      this.#currentEndsAt = now + SLICE_MS;
      // Each request listens to it.
      setMaxListeners(0, this.#current);
    }
    return this.#current;
  }
}
