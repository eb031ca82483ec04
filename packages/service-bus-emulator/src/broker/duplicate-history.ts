import { type AmqpValue, textOf } from "../amqp/values.js";

/** The ids of messages that were taken within the window of duplicate detection. */
export class DuplicateHistory {
  readonly #seen = new Map<string, number>();

  /**
   * Whether a key was seen within the window; if not, it counts as seen from now on.
   * @param windowMilliseconds how long an id is remembered.
   */
  check(key: string, now: number, windowMilliseconds: number): boolean {
    this.#forget(now - windowMilliseconds);
    if (this.#seen.has(key)) return true;
    this.#seen.set(key, now);
    return false;
  }

  /** An id that was seen before the broker was started. */
  restore(key: string, at: number): void {
    this.#seen.set(key, at);
  }

  entries(): Iterable<[string, number]> {
    return this.#seen.entries();
  }

  #forget(before: number): void {
    for (const [key, at] of this.#seen) {
      if (at > before) return;
      this.#seen.delete(key);
    }
  }
}

/** The id as a key: ids of different types are different ids. `undefined` for a message without one. */
export function duplicateKey(messageId: AmqpValue): string | undefined {
  if (messageId === null) return undefined;
  const text = textOf(messageId);
  if (text !== undefined) return `s${text}`;
  if (Buffer.isBuffer(messageId)) return `b${messageId.toString("base64")}`;
  if (typeof messageId !== "object" || !("type" in messageId)) return undefined;
  if (messageId.type === "uuid") return `u${messageId.value.toString("hex")}`;
  return "value" in messageId ? `n${String(messageId.value)}` : undefined;
}
