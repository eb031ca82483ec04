import type { TransportError } from "../../src/contracts/transport.js";
import { TrolleybusError } from "../../src/errors.js";

/** An error of this adapter: a {@link TrolleybusError} with one of the codes of the port. */
export class KafkaError extends TrolleybusError implements TransportError {
  declare readonly code: TransportError["code"];

  constructor(code: TransportError["code"], text: string, options: { readonly retryable: boolean; readonly cause?: unknown }) {
    super(code, text, { cause: options.cause, retryable: options.retryable });
  }
}

/** Not connected or cut off: the same call may succeed later. */
export function unavailable(text: string, cause?: unknown): KafkaError {
  return new KafkaError("unavailable", text, { retryable: true, cause });
}

/** The text of whatever was thrown, in one line. */
export function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split("\n", 1)[0] ?? "";
}
