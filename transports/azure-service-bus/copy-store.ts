import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import type { FailureHeaders } from "../../src/contracts/transport.js";
import { type CopyOptions, copyOf } from "./mapping.js";
import type { Sender } from "./sender.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** Longer details of a failure are left out first, when all together do not fit. Counts, dates and reasons are shorter. */
const SHORT_DETAIL = 256;

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
    let details = failure;
    let isMended = false;
    for (;;) {
      const result = await this.#sender.copy(copyOf(message, queue, details, options));
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
