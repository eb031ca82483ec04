import type { AmqpMap } from "./values.js";

/** An error that the peer is told by condition, description and info (AMQP 1.0 part 2, 2.8.14); it ends a link, a session or a connection. */
export class AmqpError extends Error {
  override readonly name = "AmqpError";
  /** For example "amqp:not-found" or "com.microsoft:message-lock-lost". */
  readonly condition: string;
  readonly info: AmqpMap | undefined;

  constructor(condition: string, description: string, info?: AmqpMap) {
    super(description);
    this.condition = condition;
    this.info = info;
  }
}

/** Bytes that are no AMQP. */
export class DecodeError extends AmqpError {
  constructor(description: string) {
    super("amqp:decode-error", description);
  }
}
