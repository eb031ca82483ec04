import type { SendResult } from "../../src/contracts/transport.js";
import type { AzureServiceBusError } from "./errors.js";
import type { Send } from "./mapping.js";

/** What all messages of one call share: it is answered when each of them is. */
export class SendCall {
  readonly #results: SendResult[];
  readonly #resolve: (results: readonly SendResult[]) => void;
  #left: number;

  constructor(size: number, resolve: (results: readonly SendResult[]) => void) {
    this.#results = new Array<SendResult>(size);
    this.#left = size;
    this.#resolve = resolve;
  }

  answer(index: number, result: SendResult): void {
    this.#results[index] = result;
    if (--this.#left === 0) this.#resolve(this.#results);
  }
}

const SENT: SendResult = Object.freeze({ outcome: "sent" });

/** One message on its way to the broker. */
export class Submission {
  readonly send: Send;
  readonly call: SendCall;
  readonly #index: number;
  /** Whether the caller knows what became of it. */
  isAnswered = false;
  isHandedOver = false;
  /** The service found a batch with it too large: it goes by itself. */
  goesAlone = false;

  constructor(send: Send, call: SendCall, index: number) {
    this.send = send;
    this.call = call;
    this.#index = index;
  }

  sent(): void {
    this.#answer(SENT);
  }

  refused(error: AzureServiceBusError): void {
    this.#answer({ outcome: "refused", error });
  }

  unknown(error: AzureServiceBusError): void {
    this.#answer({ outcome: "unknown", error });
  }

  #answer(result: SendResult): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.call.answer(this.#index, result);
  }
}
