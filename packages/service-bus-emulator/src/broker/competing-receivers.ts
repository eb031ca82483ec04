import type { BrokerError } from "./broker-error.js";
import type { QueueReceiver } from "./queue-receiver.js";

/** The receivers of a queue that have no session, each of which gets messages in its turn while it has credit. */
export class CompetingReceivers {
  readonly #give: (receiver: QueueReceiver) => boolean;
  readonly #receivers = new Set<QueueReceiver>();
  /** Those with credit, in the order in which they are served. */
  readonly #hungry = new Set<QueueReceiver>();
  #serving = false;

  /** @param give delivers the next message to a receiver; whether there was one */
  constructor(give: (receiver: QueueReceiver) => boolean) {
    this.#give = give;
  }

  get size(): number {
    return this.#receivers.size;
  }

  admit(receiver: QueueReceiver): void {
    this.#receivers.add(receiver);
  }

  dismiss(receiver: QueueReceiver): void {
    this.#receivers.delete(receiver);
    this.#hungry.delete(receiver);
  }

  /** The receiver's credit changed. */
  feed(receiver: QueueReceiver): void {
    if (receiver.credit > 0) this.#hungry.add(receiver);
    else this.#hungry.delete(receiver);
    this.serve();
  }

  /** Delivers what there is, as far as the credit goes. A delivery may change the credit, and come here again. */
  serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (const receiver of this.#hungry) {
        if (receiver.credit <= 0 || !this.#give(receiver)) break;
        this.#hungry.delete(receiver);
        if (receiver.credit > 0) this.#hungry.add(receiver);
      }
    } finally {
      this.#serving = false;
    }
  }

  end(error: BrokerError): void {
    for (const receiver of this.#receivers) receiver.end(error);
    this.#receivers.clear();
    this.#hungry.clear();
  }
}
