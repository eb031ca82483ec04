import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { CopyStore } from "./copy-store.js";
import type { RabbitMqDelivery } from "./delivery.js";
import { textOf } from "./errors.js";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Moves deliveries of an endpoint, unrun: suspects to the queue where each is run alone, and much counted ones to the end of their own queue. */
export class DeliveryMover {
  readonly #copies: CopyStore;
  readonly #suspectQueue: string;
  readonly #suspectMoved: () => void;
  readonly #logger: Logger;

  /** @param suspectMoved called after each move to the suspects */
  constructor(copies: CopyStore, suspectQueue: string, suspectMoved: () => void, logger: Logger) {
    this.#copies = copies;
    this.#suspectQueue = suspectQueue;
    this.#suspectMoved = suspectMoved;
    this.#logger = logger;
  }

  /** To the suspects. Never rejects. */
  async setAside(delivery: RabbitMqDelivery): Promise<void> {
    const text = `A message at "${delivery.source}" was held by processes that died, or stopped before they had run it, which RabbitMQ counts alike. It will be run alone.`;
    if (await this.#move(delivery, this.#suspectQueue, text)) this.#suspectMoved();
  }

  /** To the end of the queue that it came from, where RabbitMQ counts its deliveries from nought. Never rejects. */
  async renew(delivery: RabbitMqDelivery): Promise<void> {
    const text = `A message at "${delivery.source}" went down with many connections. It is stored anew, before RabbitMQ gives it up for that.`;
    await this.#move(delivery, delivery.source, text);
  }

  /** Holds the delivery until a copy is stored, however long that takes, then answers it. @returns whether it was moved */
  async #move(delivery: RabbitMqDelivery, queue: string, why: string): Promise<boolean> {
    const { messageId } = delivery.properties;
    for (let attempt = 0; !delivery.isGone; attempt++) {
      try {
        if ((await this.#copies.storeUnlessUncarriable(delivery.message, queue, {})) === "reject") {
          this.#logger.error(
            `A message at "${delivery.source}" was held by processes that died or stopped, and no client can publish it again, so it cannot be moved; it is dead-lettered.`,
            { messageId },
          );
          delivery.reject();
          return false;
        }
        this.#logger.warn(why, { messageId });
        delivery.complete();
        return true;
      } catch (error) {
        this.#logger.warn(`A message cannot be moved to "${queue}": ${textOf(error)}. It is held and tried again.`, {
          messageId,
        });
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), delivery.lost);
      }
    }
    return false;
  }
}
