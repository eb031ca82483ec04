import type { TransportError } from "../../src/contracts/transport.js";
import { TrolleybusError } from "../../src/errors.js";

/** An error of this adapter: a {@link TrolleybusError} with one of the codes of the port. */
export class MemoryTransportError extends TrolleybusError implements TransportError {
  declare readonly code: TransportError["code"];

  constructor(code: TransportError["code"], text: string, retryable: boolean) {
    super(code, text, { cause: undefined, retryable });
  }
}
