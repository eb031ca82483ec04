import type { Instance } from "./wire-safe.js";

export interface PublishOptions {
  /**
   * At most 128 characters. Unless given: a ULID; inside a consumer, derived from the endpoint, the message being handled, the
   * destination, the type, the content and a counter among equals (26 characters of the ULID's alphabet), so that a handler that
   * runs again sends the same ids and deduplication downstream still holds. To try again after `outcome: "unknown"`, pass `error.messageId`.
   */
  readonly messageId?: string;
  /** Unless given: that of the message being handled, else the new `messageId`. */
  readonly correlationId?: string;
  /** Messages of one key keep their order, where an endpoint asked for it (`order`). At most 128 characters. */
  readonly partitionKey?: string;
  /**
   * Text only. Names are 1 to 64 lower-case letters, digits and `-`; the prefix `tb-` is reserved. At most 16 KiB together. They
   * travel as the broker's own headers, where filters and operators see them; each costs throughput, so none is sent by default.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /** Inside a consumer: do not hold the message back until the consumer succeeds. No effect elsewhere. @default false */
  readonly immediately?: boolean;
  /** Stops waiting. The outcome is then "unknown", or "refused" when the message had not been handed to the broker. */
  readonly signal?: AbortSignal;
}

/** All that a class that publishes needs to know. Two methods, so that a test double is one line. */
export interface IEventBus {
  /**
   * Announces an event: every endpoint that has subscribed gets its copy; that there is none is fine.
   *
   * Resolves when the broker has confirmed it. **Inside a consumer** it resolves when the message is held back: it leaves, and
   * is confirmed, after the consumer has succeeded and before the delivery is settled; it is dropped when the consumer fails.
   * @throws PublishError with `outcome` "refused" (certainly not sent) or "unknown" (perhaps sent). Code "run-ended" when the
   * consumer whose context this is has failed or timed out, "stopped" after `stop()`, "too-large" before anything is sent.
   * @throws InvalidMessageError when the object has no `messageType` or cannot be encoded.
   */
  publish<T extends object>(message: T & Instance<T>, options?: PublishOptions): Promise<void>;

  /**
   * Gives a command to one endpoint, by its name. An endpoint that does not exist is an error (`code: "unroutable"`).
   * Otherwise like {@link publish}.
   */
  send<T extends object>(endpoint: string, message: T & Instance<T>, options?: PublishOptions): Promise<void>;
}
