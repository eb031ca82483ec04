import type { TransportError } from "../../src/contracts/transport.js";
import { TrolleybusError } from "../../src/errors.js";

/** An error of this adapter: a {@link TrolleybusError} with one of the codes of the port. */
export class RabbitMqError extends TrolleybusError implements TransportError {
  declare readonly code: TransportError["code"];

  constructor(code: TransportError["code"], text: string, options: { readonly retryable: boolean; readonly cause?: unknown }) {
    super(code, text, { cause: options.cause, retryable: options.retryable });
  }
}

/** Not connected, blocked or cut off: the same call may succeed later. */
export function unavailable(text: string, cause?: unknown): RabbitMqError {
  return new RabbitMqError("unavailable", text, { retryable: true, cause });
}

/** A message that was received, and that no client can publish again: too large by now, or with headers that cannot be written. */
export function noClientCarries(error: unknown): boolean {
  return error instanceof RabbitMqError && (error.code === "too-large" || (error.code === "refused" && error.cause instanceof TypeError));
}

/** The text of whatever was thrown, in one line. */
export function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim();
}

/** What the server says when it closes a channel or a connection, or answers an operation with that. */
export interface ServerAnswer {
  /** The AMQP reply code: 403, 404, 405, 406, 530, 541, ... */
  readonly code: number;
  /** The server's own sentence, such as `NOT_FOUND - no queue 'x' in vhost '/'`. */
  readonly text: string;
}

/** Reads a {@link ServerAnswer} out of an error of amqplib, which carries it in its text; `undefined` when the server said nothing. */
export function serverAnswer(error: unknown): ServerAnswer | undefined {
  const match = /(\d{3}) \([A-Z-]+\) with message "([\s\S]*)"$/.exec(textOf(error));
  return match?.[2] === undefined ? undefined : { code: Number(match[1]), text: match[2] };
}
