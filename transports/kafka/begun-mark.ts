import type { Delivery, EndpointPlan } from "../../src/contracts/transport.js";
import { DriverError } from "./driver.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

const HEADER = "tb-begun";

/**
 * The sign that an endpoint has begun to receive, which outlives the offsets of its group: Kafka forgets these when the group had no member for
 * `offsets.retention.minutes`. A topic never counts its offsets anew, so one record that was once in the endpoint's dead-letter topic is enough: a real
 * letter, or a first record without content that is deleted as soon as it is stored.
 */
export class BegunMark {
  readonly #environment: ReceiverEnvironment;
  readonly #topic: string;

  constructor(environment: ReceiverEnvironment, { name }: EndpointPlan) {
    this.#environment = environment;
    this.#topic = environment.names.deadLetterTopic(name);
  }

  /** Whether the endpoint has begun at any time before. `false` also where we may not look. */
  async isThere(): Promise<boolean> {
    try {
      return (await this.#ends()).length > 0;
    } catch (error) {
      if (error instanceof DriverError && (error.kind === "no-topic" || error.kind === "forbidden")) return false;
      throw error;
    }
  }

  /** Leaves it, when the group has committed where it begins: who finds the mark, and afterwards no offset, knows that there were some. */
  async leave(): Promise<void> {
    const { connection, sender } = this.#environment;
    if ((await this.#ends()).length > 0) return;
    const record = { topic: this.#topic, mandatory: true, key: null, value: null, headers: { [HEADER]: "1" } };
    const result = await sender.copy(record);
    if (result.outcome !== "sent") throw result.error;
    const ends = await this.#ends();
    // Only while there is nothing else: a letter that came meanwhile is not to go with it, and a visit passes it over.
    if (ends.length === 1 && ends[0]?.offset === 1) await connection.admin((admin) => admin.deleteRecords(this.#topic, ends));
  }

  /** Of the partitions in which there was ever anything. */
  async #ends(): Promise<readonly { readonly partition: number; readonly offset: number }[]> {
    const ends = await this.#environment.connection.admin((admin) => admin.offsets(this.#topic, "latest"));
    return ends.filter(({ offset }) => offset > 0);
  }
}

/** Whether it is no letter but the mark, which could not be deleted. */
export function isBegunMark(delivery: Delivery): boolean {
  return delivery.body.byteLength === 0 && delivery.headers[HEADER] !== undefined;
}
