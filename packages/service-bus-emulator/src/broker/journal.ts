import type { QueuedMessage } from "./queued-message.js";

/**
 * Where the queues write down what must survive the broker's end. Each record says how things are, not what changed: read twice, it does no harm.
 * Queues are named by numbers that are never used again.
 */
export interface Journal {
  added(queue: number, message: QueuedMessage): void;
  /** Delivery count, state or application properties. */
  changed(queue: number, message: QueuedMessage, bareChanged: boolean): void;
  removed(queue: number, sequence: number): void;
  sessionStateSet(queue: number, sessionId: string, state: Buffer | undefined, at: number): void;
  duplicateKeySeen(queue: number, key: string, at: number): void;
  /** See `Namespace.kept`. */
  kept(): Promise<void> | undefined;
}
