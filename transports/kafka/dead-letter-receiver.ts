import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { settledBy } from "../../src/util/time-limit.js";
import { isBegunMark } from "./begun-mark.js";
import { CopyRemover } from "./copy-remover.js";
import { CopyStore } from "./copy-store.js";
import { DriverError } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";
import { GroupReader } from "./group-reader.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

const START_MS = 30_000;

/**
 * Visits what was in an endpoint's dead-letter topic at the call, oldest first in each partition, each letter once. Several visitors share the
 * partitions as members of a group of their own. A letter that is kept is appended again, behind the end of the visit, before its offset is committed; what
 * lies before the commit is deleted when the visit is over.
 */
export class DeadLetterReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;
  readonly #topic: string;
  readonly #sink: DeliverySink;
  readonly #reader: GroupReader;
  readonly #remover: CopyRemover;
  /** Where each partition ended at the call; 0 where nothing was in it. */
  #ends: readonly number[] = [];
  #isReading = false;
  #isExhausted = false;
  #isStopped = false;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    const { names, logger } = environment;
    const copies = new CopyStore(environment, endpoint);
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#sink = sink;
    this.#remover = new CopyRemover(environment);
    this.#topic = names.deadLetterTopic(endpoint.name);
    this.#reader = new GroupReader(
      environment,
      {
        group: this.#topic,
        prefetch,
        topics: async () => [{ topic: this.#topic, retryDelayMs: undefined, types: undefined }],
        startOf: () => "beginning",
        // A partition that came later had nothing at the call.
        endOf: (_, partition) => this.#ends[partition] ?? 0,
        exhausted: () => this.#exhausted(),
        status: (down) => {
          if (down) logger.warn(`Reading the dead letters of "${endpoint.name}" was interrupted: ${textOf(down)}. It goes on.`);
        },
        home: {
          storeRetry: async () => {
            throw new KafkaError("configuration", "A dead letter has no delayed retry; it is completed, released or dead-lettered again.", {
              retryable: false,
            });
          },
          storeDeadLetter: (record, failure) => copies.storeDeadLetter(record, failure),
          giveBack: async (record) => {
            await copies.storeDeadLetter(record, {});
            return "settle";
          },
        },
      },
      {
        deliver: (delivery) => {
          if (isBegunMark(delivery)) delivery.complete();
          else sink.deliver(delivery);
        },
        exhausted: () => {},
      },
    );
  }

  /** @throws KafkaError "topology" when there is no such topic, or it may not be read */
  async start(): Promise<void> {
    try {
      this.#ends = await this.#measure();
      this.#reader.start();
      await this.#reader.whenReading(START_MS);
    } catch (error) {
      throw this.#startError(error);
    }
    // Not before `receive` has resolved, so that the caller has the receiver when the visit ends.
    setImmediate(() => {
      this.#isReading = true;
      this.#exhausted();
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#reader.stop();
  }

  async close(deadline: number): Promise<void> {
    void this.stop();
    await settledBy(deadline, this.#deleteVisited());
    await this.#reader.close(deadline);
  }

  async #measure(): Promise<readonly number[]> {
    const { connection } = this.#environment;
    const begins = await connection.admin((admin) => admin.offsets(this.#topic, "earliest"));
    const ends = await connection.admin((admin) => admin.offsets(this.#topic, "latest"));
    const measured: number[] = [];
    for (const { partition, offset } of ends) {
      const begin = begins.find((each) => each.partition === partition)?.offset ?? 0;
      measured[partition] = offset > begin ? offset : 0;
    }
    return measured;
  }

  #exhausted(): void {
    if (!this.#isReading || this.#isExhausted || this.#isStopped || !this.#reader.isExhausted) return;
    this.#isExhausted = true;
    this.#sink.exhausted();
  }

  /** Only what this visitor reads: whoever has the partition knows how far it is committed. */
  async #deleteVisited(): Promise<void> {
    await this.#reader.flush();
    await this.#remover.removeDone(this.#reader.partitions);
  }

  #startError(error: unknown): KafkaError {
    const text = `The dead letters of "${this.#endpoint.name}" cannot be read: ${textOf(error)}.`;
    const kind = error instanceof DriverError ? error.kind : "unknown";
    if (kind !== "no-topic" && kind !== "forbidden") return unavailable(text, error);
    const help = `Start the endpoint once, or grant the rights "read" and "delete" for the topic "${this.#topic}" and "read" for the group of that name.`;
    return new KafkaError("topology", `${text} ${help}`, { retryable: false, cause: error });
  }
}
