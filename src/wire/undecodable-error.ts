import { TrolleybusError } from "../errors.js";

/**
 * Bytes that are no message: not JSON, no envelope, an unknown content type, forbidden keys. The delivery is dead-lettered
 * as "undecodable" without a run; another try would read the same bytes. Internal: it never reaches a caller of the bus.
 */
export class UndecodableError extends TrolleybusError {
  override readonly name: string = "UndecodableError";

  constructor(text: string, cause?: unknown) {
    super("invalid-message", text, { cause, retryable: false });
  }
}
