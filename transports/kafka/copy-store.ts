import type { EndpointPlan, FailureHeaders } from "../../src/contracts/transport.js";
import { shortDetails } from "../../src/util/store-copy.js";
import type { IncomingRecord } from "./driver.js";
import { KafkaError } from "./errors.js";
import { copyOf, type RecordToSend } from "./mapping.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { retryCopyOf } from "./retry-time.js";

/** Appends copies of deliveries to other topics of their endpoint: confirmed, or not at all. */
export class CopyStore {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan) {
    this.#environment = environment;
    this.#endpoint = endpoint;
  }

  /** @throws KafkaError when the copy was not stored, or may not be, or the delay was not planned */
  async storeRetry(record: IncomingRecord, delayMs: number, failure: FailureHeaders): Promise<void> {
    const { name, retryDelaysMs } = this.#endpoint;
    if (!retryDelaysMs.includes(delayMs)) {
      throw new KafkaError("topology", `No retry after ${delayMs} ms is planned for "${name}": the delay has no topic.`, {
        retryable: false,
      });
    }
    const topic = this.#environment.names.retryTopic(name, delayMs);
    await this.#store(failure, (details) => retryCopyOf(record, topic, delayMs, details));
  }

  /** @throws KafkaError when the copy was not stored, or may not be */
  async storeDeadLetter(record: IncomingRecord, failure: FailureHeaders): Promise<void> {
    const topic = this.#environment.names.deadLetterTopic(this.#endpoint.name);
    await this.#store(failure, (details) => copyOf(record, topic, details));
  }

  async #store(failure: FailureHeaders, copy: (details: FailureHeaders) => RecordToSend): Promise<void> {
    const shorter = [shortDetails(failure), {}];
    for (let details: FailureHeaders | undefined = failure; details; ) {
      const result = await this.#environment.sender.copy(copy(details));
      if (result.outcome === "sent") return;
      details = result.error.code === "too-large" ? shorter.shift() : undefined;
      if (!details) throw result.error;
    }
  }
}
