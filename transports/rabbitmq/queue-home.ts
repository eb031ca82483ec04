import type { Message } from "amqplib";
import type { EndpointPlan, FailureHeaders } from "../../src/contracts/transport.js";
import type { CopyStore } from "./copy-store.js";
import type { DeliveryHome, RabbitMqDelivery } from "./delivery.js";
import { RabbitMqError } from "./errors.js";
import type { Names } from "./mapping.js";
import type { OrderedIntake } from "./ordered-intake.js";
import type { DeliveryCounts } from "./suspicion.js";

/** What the deliveries of an endpoint's queues share: where their copies go. */
export class QueueHome implements DeliveryHome {
  readonly source: string;
  readonly isDeadLetter = false;
  readonly #names: Names;
  readonly #endpoint: EndpointPlan;
  readonly #copies: CopyStore;
  readonly #counts: DeliveryCounts;
  readonly #ordered: OrderedIntake | undefined;

  /** @param ordered where the endpoint is ordered: what is released then goes back when the channel closes, so that nothing is overtaken */
  constructor(
    source: string,
    names: Names,
    endpoint: EndpointPlan,
    copies: CopyStore,
    counts: DeliveryCounts,
    ordered: OrderedIntake | undefined,
  ) {
    this.source = source;
    this.#names = names;
    this.#endpoint = endpoint;
    this.#copies = copies;
    this.#counts = counts;
    this.#ordered = ordered;
  }

  async storeRetry(message: Message, delayMs: number, failure: FailureHeaders): Promise<void> {
    const { name, retryDelaysMs } = this.#endpoint;
    if (!retryDelaysMs.includes(delayMs)) {
      throw new RabbitMqError("configuration", `The endpoint "${name}" was not set up for a retry after ${delayMs} ms.`, {
        retryable: false,
      });
    }
    await this.#copies.store(message, this.#names.retryQueue(name, delayMs), failure);
  }

  async storeDeadLetter(message: Message, failure: FailureHeaders): Promise<"stored" | "reject"> {
    try {
      await this.#copies.store(message, this.#names.deadLetterQueue(this.#endpoint.name), failure);
      return "stored";
    } catch (error) {
      // The broker's own dead-lettering carries what no client can publish: headers beyond 64 KiB, a body beyond a limit that was lowered.
      if (error instanceof RabbitMqError && error.code === "too-large") return "reject";
      throw error;
    }
  }

  release(delivery: RabbitMqDelivery): void {
    if (this.#ordered) {
      this.#ordered.settled(delivery);
      return;
    }
    this.#counts.survived(delivery.message);
    delivery.held.giveBack(delivery.tag);
  }

  settled(delivery: RabbitMqDelivery): void {
    this.#counts.forget(delivery.message);
    this.#ordered?.settled(delivery);
  }
}
