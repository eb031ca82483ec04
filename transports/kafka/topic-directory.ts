import type { Logger } from "../../src/contracts/logger.js";
import { within } from "../../src/util/time-limit.js";
import type { KafkaConnection } from "./connection.js";
import { DriverError, type PartitionMetadata } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";

/** What is known of a topic that exists. */
export interface TopicState {
  readonly topic: string;
  /** By number, without gaps. */
  readonly partitions: readonly PartitionMetadata[];
  /** `max.message.bytes`: of one batch of records in one partition, compressed. */
  readonly maxMessageBytes: number;
}

/** So old may what is known become: new partitions are found within this time. */
const REFRESH_MS = 30_000;
/** Kafka's own default of `message.max.bytes`, where we may not look. */
export const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588;
const MAX_MESSAGE_BYTES = "max.message.bytes";
const BROKER_LIMIT = "message.max.bytes";
/** A broker that does not answer for so long is not waited for: its default is taken. */
const LEARN_WITHIN_MS = 5_000;

/** Which topics there are, with their partitions and limits: looked up when they are first needed, and again every 30 s. */
export class TopicDirectory {
  readonly #connection: KafkaConnection;
  readonly #logger: Logger;
  readonly #known = new Map<string, TopicState>();
  /** What was asked for in this turn, in one question. */
  #asking: { readonly topics: Set<string>; readonly answer: Promise<void> } | undefined;
  readonly #troubles = new Map<string, KafkaError>();
  #defaultLimit = DEFAULT_MAX_MESSAGE_BYTES;
  #refreshing: NodeJS.Timeout | undefined;

  constructor(connection: KafkaConnection, logger: Logger) {
    this.#connection = connection;
    this.#logger = logger;
  }

  /** `message.max.bytes` of the broker, which a topic has that says nothing of its own. */
  get defaultLimit(): number {
    return this.#defaultLimit;
  }

  /** Learns what the cluster's own limit is, where we may look, and begins to look again from time to time. */
  async open(): Promise<void> {
    try {
      await within(LEARN_WITHIN_MS, this.#learnLimit(), () => new Error("no answer in time"));
    } catch (error) {
      this.#logger.debug(`The limit of the broker is not known, Kafka's default is taken: ${textOf(error)}`);
    }
    this.#refreshLater();
  }

  async #learnLimit(): Promise<void> {
    const [broker] = await this.#connection.admin((admin) => admin.brokers());
    if (broker === undefined) return;
    const config = await this.#connection.admin((admin) => admin.brokerConfig(broker, [BROKER_LIMIT]));
    this.#defaultLimit = limitOf(config[BROKER_LIMIT]) ?? this.#defaultLimit;
  }

  /** What is known now; `undefined` when the topic has to be looked for. */
  known(topic: string): TopicState | undefined {
    return this.#known.get(topic);
  }

  /** Looks for it where it is not known. `undefined`: it does not exist. @throws KafkaError saying why that cannot be told */
  async find(topic: string): Promise<TopicState | undefined> {
    return this.#known.get(topic) ?? (await this.look(topic));
  }

  /** Looks for it, whatever was known. `undefined`: it does not exist. @throws KafkaError saying why that cannot be told */
  async look(topic: string): Promise<TopicState | undefined> {
    await this.#ask(topic);
    const trouble = this.#troubles.get(topic);
    if (trouble) throw trouble;
    return this.#known.get(topic);
  }

  /** Not to be trusted any more: it is looked for when it is needed again. */
  forget(topic: string): void {
    this.#known.delete(topic);
  }

  stop(): void {
    clearTimeout(this.#refreshing);
    this.#refreshing = undefined;
  }

  #ask(topic: string): Promise<void> {
    if (!this.#asking) {
      const topics = new Set<string>();
      const answer = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        this.#asking = undefined;
        return this.#update([...topics]);
      });
      this.#asking = { topics, answer };
    }
    this.#asking.topics.add(topic);
    return this.#asking.answer;
  }

  async #update(topics: readonly string[]): Promise<void> {
    try {
      const found = await this.#connection.admin((admin) => admin.metadata(topics));
      await Promise.all(topics.map((topic) => this.#note(topic, found.get(topic))));
    } catch (error) {
      const trouble = error instanceof KafkaError ? error : unavailable(`Kafka cannot be asked about its topics: ${textOf(error)}`, error);
      for (const topic of topics) this.#troubles.set(topic, trouble);
    }
  }

  async #note(topic: string, found: readonly PartitionMetadata[] | DriverError | undefined): Promise<void> {
    if (found && !(found instanceof DriverError)) {
      const maxMessageBytes = this.#known.get(topic)?.maxMessageBytes ?? (await this.#limitOf(topic));
      this.#troubles.delete(topic);
      this.#known.set(topic, { topic, partitions: found, maxMessageBytes });
      return;
    }
    this.#known.delete(topic);
    if (!found || found.kind === "no-topic") this.#troubles.delete(topic);
    else this.#troubles.set(topic, troubleOf(topic, found));
  }

  async #limitOf(topic: string): Promise<number> {
    try {
      const config = await this.#connection.admin((admin) => admin.topicConfig(topic, [MAX_MESSAGE_BYTES]));
      return limitOf(config[MAX_MESSAGE_BYTES]) ?? this.#defaultLimit;
    } catch (error) {
      this.#logger.debug(`The limit of topic "${topic}" is not known, the broker's is taken: ${textOf(error)}`);
      return this.#defaultLimit;
    }
  }

  #refreshLater(): void {
    this.#refreshing = setTimeout(() => void this.#refresh(), REFRESH_MS).unref();
  }

  async #refresh(): Promise<void> {
    const topics = [...this.#known.keys()];
    try {
      // Asked for nothing else, the brokers would not be missed when they are away.
      if (topics.length === 0) await this.#connection.admin((admin) => admin.brokers());
      else {
        const found = await this.#connection.admin((admin) => admin.metadata(topics));
        await Promise.all(topics.map((topic) => this.#note(topic, found.get(topic))));
      }
    } catch (error) {
      this.#logger.debug(`What is known of Kafka's topics could not be renewed: ${textOf(error)}`);
    }
    if (this.#refreshing && !this.#connection.isClosing) this.#refreshLater();
  }
}

function troubleOf(topic: string, error: DriverError): KafkaError {
  if (error.kind === "forbidden") {
    return new KafkaError(
      "refused",
      `Topic "${topic}" may not be looked at: grant DESCRIBE on it, WRITE to send there, and CREATE to have it made (ACL).`,
      {
        retryable: false,
        cause: error,
      },
    );
  }
  if (error.kind === "invalid") {
    return new KafkaError("refused", `Kafka takes no topic of the name "${topic}".`, { retryable: false, cause: error });
  }
  return unavailable(`Topic "${topic}" cannot be used now: ${textOf(error)}`, error);
}

function limitOf(value: string | undefined): number | undefined {
  const number = Number(value);
  return value !== undefined && Number.isInteger(number) && number > 0 ? number : undefined;
}
