import type { SendResult } from "../../src/contracts/transport.js";
import type { RabbitMqError } from "./errors.js";
import type { Publish } from "./mapping.js";

/** What all messages of one call share: it is answered when each of them is. */
export class PublishBatch {
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
export class Publication {
  readonly publish: Publish;
  readonly #batch: PublishBatch;
  readonly #index: number;
  /** Whether the caller knows what became of it. */
  isAnswered = false;
  /** Under which the broker's return is looked up, while a mandatory message is with it. */
  returnKey: string | undefined;
  isReturned = false;
  /** The channel on which it was handed to the broker. */
  handedTo: { abandon(): void } | undefined;

  constructor(publish: Publish, batch: PublishBatch, index: number) {
    this.publish = publish;
    this.#batch = batch;
    this.#index = index;
  }

  sent(): void {
    this.#answer(SENT);
  }

  refused(error: RabbitMqError): void {
    this.#answer({ outcome: "refused", error });
  }

  unknown(error: RabbitMqError): void {
    this.#answer({ outcome: "unknown", error });
  }

  #answer(result: SendResult): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.#batch.answer(this.#index, result);
  }
}
