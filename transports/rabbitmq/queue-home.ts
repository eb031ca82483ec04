import type { Message } from "amqplib";
import type { Logger } from "../../src/contracts/logger.js";
import type { EndpointPlan, FailureHeaders } from "../../src/contracts/transport.js";
import type { CopyStore } from "./copy-store.js";
import type { DeliveryHome, RabbitMqDelivery } from "./delivery.js";
import { RabbitMqError } from "./errors.js";
import type { Names } from "./mapping.js";
import type { OrderedIntake } from "./ordered-intake.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import type { DeliveryCounts } from "./suspicion.js";

/** What the deliveries of an endpoint's queues share: where their copies go. */
export class QueueHome implements DeliveryHome {
  readonly source: string;
  readonly isDeadLetter = false;
  readonly #names: Names;
  readonly #logger: Logger;
  readonly #endpoint: EndpointPlan;
  readonly #copies: CopyStore;
  readonly #counts: DeliveryCounts | undefined;
  readonly #ordered: OrderedIntake | undefined;

  /**
   * @param counts where RabbitMQ's count of deliveries is looked at
   * @param ordered where the endpoint is ordered: what is released then goes back when the channel closes, so that nothing is overtaken
   */
  constructor(
    source: string,
    { names, logger }: ReceiverEnvironment,
    endpoint: EndpointPlan,
    copies: CopyStore,
    counts: DeliveryCounts | undefined,
    ordered: OrderedIntake | undefined,
  ) {
    this.source = source;
    this.#names = names;
    this.#logger = logger;
    this.#endpoint = endpoint;
    this.#copies = copies;
    this.#counts = counts;
    this.#ordered = ordered;
  }

  async storeRetry(message: Message, delayMs: number, failure: FailureHeaders): Promise<"stored" | "reject"> {
    const { name, retryDelaysMs } = this.#endpoint;
    if (!retryDelaysMs.includes(delayMs)) {
      throw new RabbitMqError("configuration", `The endpoint "${name}" was not set up for a retry after ${delayMs} ms.`, {
        retryable: false,
      });
    }
    const answer = await this.#copies.storeUnlessUncarriable(message, this.#names.retryQueue(name, delayMs), failure);
    if (answer === "reject") this.#tellUncarriable(message, "instead of being tried again");
    return answer;
  }

  async storeDeadLetter(message: Message, failure: FailureHeaders): Promise<"stored" | "reject"> {
    const answer = await this.#copies.storeUnlessUncarriable(message, this.#names.deadLetterQueue(this.#endpoint.name), failure);
    if (answer === "reject") this.#tellUncarriable(message, "without the reason why it failed");
    return answer;
  }

  release(delivery: RabbitMqDelivery): void {
    if (this.#ordered) {
      this.#ordered.settled(delivery);
      return;
    }
    this.#counts?.survived(delivery.message);
    delivery.held.giveBack(delivery.tag);
  }

  settled(delivery: RabbitMqDelivery): void {
    this.#counts?.forget(delivery.message);
    this.#ordered?.settled(delivery);
  }

  survived(delivery: RabbitMqDelivery): void {
    if (!this.#ordered) return;
    this.#counts?.cleared(delivery.message);
    this.#ordered.cleared(delivery);
  }

  givenUp(delivery: RabbitMqDelivery): void {
    this.#counts?.survived(delivery.message);
    this.#ordered?.settled(delivery);
  }

  #tellUncarriable(message: Message, how: string): void {
    this.#logger.error(
      `A message at "${this.source}" has headers or a size that no client can publish again. RabbitMQ dead-letters it as it is, ${how}.`,
      { messageId: message.properties.messageId },
    );
  }
}
