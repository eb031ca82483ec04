import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import type { FailureHeaders } from "../../src/contracts/transport.js";
import { storeCopy } from "../../src/util/store-copy.js";
import { type CopyOptions, copyOf } from "./mapping.js";
import type { Sender } from "./sender.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** Stores copies of deliveries in the queues of their endpoint: confirmed, or not at all. */
export class CopyStore {
  readonly #sender: Sender;
  readonly #keeper: TopologyKeeper;
  readonly #endpoint: string;

  constructor(sender: Sender, keeper: TopologyKeeper, endpoint: string) {
    this.#sender = sender;
    this.#keeper = keeper;
    this.#endpoint = endpoint;
  }

  /** @throws AzureServiceBusError when the copy was not stored, or may not be */
  async store(message: ServiceBusReceivedMessage, queue: string, failure: FailureHeaders, options: CopyOptions): Promise<void> {
    await storeCopy(
      failure,
      (details) => this.#sender.copy(copyOf(message, queue, details, options)),
      () => this.#keeper.repairEndpoint(this.#endpoint),
    );
  }
}
