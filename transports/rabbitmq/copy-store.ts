import type { Message } from "amqplib";
import type { FailureHeaders } from "../../src/contracts/transport.js";
import { storeCopy } from "../../src/util/store-copy.js";
import { noClientCarries } from "./errors.js";
import { copyOf } from "./mapping.js";
import type { Sender } from "./sender.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** Stores copies of deliveries in other queues of their endpoint: routed and confirmed, or not at all. */
export class CopyStore {
  readonly #sender: Sender;
  readonly #keeper: TopologyKeeper;
  readonly #endpoint: string;

  constructor(sender: Sender, keeper: TopologyKeeper, endpoint: string) {
    this.#sender = sender;
    this.#keeper = keeper;
    this.#endpoint = endpoint;
  }

  /**
   * "reject": no client can carry the message as it is (headers beyond 64 KiB, or that cannot be written again, a body beyond a limit that was
   * lowered). The broker's own dead-lettering can. @throws RabbitMqError when the copy was not stored, or may not be
   */
  async storeUnlessUncarriable(message: Message, queue: string, failure: FailureHeaders): Promise<"stored" | "reject"> {
    try {
      await this.store(message, queue, failure);
      return "stored";
    } catch (error) {
      if (noClientCarries(error)) return "reject";
      throw error;
    }
  }

  /**
   * @param withDeath keep what the broker said when it dead-lettered the message
   * @throws RabbitMqError when the copy was not stored, or may not be
   */
  async store(message: Message, queue: string, failure: FailureHeaders, withDeath = false): Promise<void> {
    await storeCopy(
      failure,
      (details) => this.#sender.copy(copyOf(message, queue, details, withDeath)),
      () => this.#keeper.repairEndpoint(this.#endpoint),
    );
  }
}
