import type { Message } from "amqplib";
import type { FailureHeaders } from "../../src/contracts/transport.js";
import { copyOf } from "./mapping.js";
import type { Sender } from "./sender.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** Longer details of a failure are left out first, when all together do not fit. Counts, dates and reasons are shorter. */
const SHORT_DETAIL = 256;

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
   * @param withDeath keep what the broker said when it dead-lettered the message
   * @throws RabbitMqError when the copy was not stored, or may not be; "too-large" when no client can carry its headers, or the broker its body
   */
  async store(message: Message, queue: string, failure: FailureHeaders, withDeath = false): Promise<void> {
    let details = failure;
    let isMended = false;
    for (;;) {
      const result = await this.#sender.copy(copyOf(message, queue, details, withDeath));
      if (result.outcome === "sent") return;
      if (result.error.code === "too-large" && details === failure) details = shortDetails(failure);
      else if (result.error.code === "unroutable" && !isMended && (await this.#keeper.repairEndpoint(this.#endpoint))) isMended = true;
      else throw result.error;
    }
  }
}

function shortDetails(failure: FailureHeaders): FailureHeaders {
  return Object.fromEntries(Object.entries(failure).filter(([, value]) => value.length <= SHORT_DETAIL));
}
