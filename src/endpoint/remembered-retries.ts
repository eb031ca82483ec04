import type { FailureHistory } from "../retry/failure-history.js";

/** Where a message stood whose delivery was lost between two of its runs. */
export interface RememberedRetry {
  readonly history: FailureHistory;
  /** Immediate retries that its round has had. */
  readonly atOnce: number;
  /** When the wait is over, on the clock of `performance.now()`. */
  readonly dueAt: number;
}

const MOST = 10_000;

/**
 * Runs that were retried at once, and with `order: "key"` those before a delay, are in no header. When the delivery is taken away meanwhile, by a lost connection or
 * since the broker lets nobody hold one for longer, the message comes back as if it were new: this remembers, for this process, where it stood. Bounded: the
 * oldest are forgotten, which costs such a message more attempts, never fewer.
 */
export class RememberedRetries {
  readonly #byId: Map<string, RememberedRetry> = new Map();

  remember(messageId: string, retry: RememberedRetry): void {
    this.#byId.delete(messageId);
    this.#byId.set(messageId, retry);
    if (this.#byId.size <= MOST) return;
    for (const oldest of this.#byId.keys()) {
      this.#byId.delete(oldest);
      return;
    }
  }

  /** What is known of the message, once. */
  recall(messageId: string): RememberedRetry | undefined {
    if (this.#byId.size === 0) return undefined;
    const retry = this.#byId.get(messageId);
    this.#byId.delete(messageId);
    return retry;
  }
}
