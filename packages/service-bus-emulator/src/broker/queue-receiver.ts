import type { BrokerError } from "./broker-error.js";
import type { Delivery, ReceiveMode, Receiver, ReceiverOptions } from "./contracts.js";
import type { Session } from "./session.js";

/** What a receiver asks of its queue. */
export interface ReceiverQueue {
  /** Delivers what is available as far as the receiver's credit goes. */
  feed(receiver: QueueReceiver): void;
  /** The receiver is gone. */
  dismiss(receiver: QueueReceiver): void;
}

export class QueueReceiver implements Receiver {
  readonly mode: ReceiveMode;
  readonly session: Session | undefined;
  readonly #queue: ReceiverQueue;
  readonly #options: ReceiverOptions;
  #credit = 0;
  #open = true;

  constructor(queue: ReceiverQueue, options: ReceiverOptions, session: Session | undefined) {
    this.#queue = queue;
    this.#options = options;
    this.mode = options.mode;
    this.session = session;
  }

  get credit(): number {
    return this.#credit;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  setCredit(credit: number): void {
    if (!this.#open) return;
    this.#credit = credit;
    this.#queue.feed(this);
  }

  deliver(delivery: Delivery): void {
    this.#credit--;
    this.#options.onDelivery(delivery);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#credit = 0;
    this.#queue.dismiss(this);
  }

  /** Ended by the broker. */
  end(error: BrokerError): void {
    if (!this.#open) return;
    this.#open = false;
    this.#credit = 0;
    this.#options.onEnd(error);
  }
}
