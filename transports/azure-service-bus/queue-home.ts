import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import type { EndpointPlan, FailureHeaders } from "../../src/contracts/transport.js";
import type { CopyStore } from "./copy-store.js";
import type { DeliveryHome, ServiceBusDelivery, Verdict } from "./delivery.js";
import type { DirectLink } from "./direct-link.js";
import { AzureServiceBusError } from "./errors.js";
import type { Settler, SettlingReceiver } from "./settler.js";
import type { DeliveryCounts } from "./suspicion.js";

/** What the deliveries of one queue of an endpoint share: who settles them, and where their copies go. */
export class QueueHome implements DeliveryHome {
  readonly source: string;
  readonly isDeadLetter = false;
  readonly #endpoint: EndpointPlan;
  readonly #endpointQueue: string;
  readonly #copies: CopyStore;
  readonly #counts: DeliveryCounts;
  readonly #settler: Settler;
  readonly #receiver: () => SettlingReceiver;
  readonly #link: () => DirectLink | undefined;

  /**
   * @param source the queue
   * @param endpointQueue where retries go
   * @param receiver settles by the client
   * @param link completes without it, while there is one
   */
  constructor(
    source: string,
    endpoint: EndpointPlan,
    endpointQueue: string,
    copies: CopyStore,
    counts: DeliveryCounts,
    settler: Settler,
    receiver: () => SettlingReceiver,
    link: () => DirectLink | undefined = () => undefined,
  ) {
    this.source = source;
    this.#endpoint = endpoint;
    this.#endpointQueue = endpointQueue;
    this.#copies = copies;
    this.#counts = counts;
    this.#settler = settler;
    this.#receiver = receiver;
    this.#link = link;
  }

  async storeRetry(message: ServiceBusReceivedMessage, delayMs: number, failure: FailureHeaders): Promise<void> {
    const { name, retryDelaysMs } = this.#endpoint;
    if (!retryDelaysMs.includes(delayMs)) {
      throw new AzureServiceBusError("configuration", `The endpoint "${name}" was not set up for a retry after ${delayMs} ms.`, {
        retryable: false,
      });
    }
    const at = new Date(Date.now() + delayMs);
    await this.#copies.store(message, this.#endpointQueue, failure, { suffix: `r${failure["tb-attempts"] ?? "0"}`, at });
  }

  settle(delivery: ServiceBusDelivery, verdict: Verdict): Promise<"settled" | "lost"> {
    return this.#settler.settle(delivery, verdict, this.#receiver);
  }

  completeByLink(delivery: ServiceBusDelivery): boolean {
    const link = this.#link();
    if (link) this.#settler.completeByLink(delivery, link);
    return link !== undefined;
  }

  survived(delivery: ServiceBusDelivery): void {
    this.#counts.cleared(delivery.message);
  }
}
