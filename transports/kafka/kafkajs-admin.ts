import type { Admin } from "kafkajs";
import {
  type CommittedOffset,
  type DriverAdmin,
  DriverError,
  type PartitionMetadata,
  type PartitionOffset,
  type TopicSpec,
} from "./driver.js";
import { driverErrorOf } from "./kafkajs-errors.js";
import type { KafkajsHome } from "./kafkajs-home.js";

/** How often kafkajs repeats what a controller that moved, or a leader that is being elected, refused. */
const RETRY = { retries: 5, initialRetryTime: 100, maxRetryTime: 1_000 };
/** What the protocol says of a partition of which a group has committed nothing. */
const NOTHING_COMMITTED = -1;
/** Topics that are asked about one by one, at a time. */
const ALONE_AT_A_TIME = 10;

/**
 * kafkajs's admin. It asks, whatever is wanted, for the metadata of every topic that it was ever asked about, and fails when one of them is gone or has no leader;
 * so a fresh one takes its place then, and the call is made once more.
 */
export class KafkajsAdmin implements DriverAdmin {
  readonly #makeHome: () => KafkajsHome;
  #home: KafkajsHome;
  #admin: Admin;
  #renewing: Promise<void> | undefined;
  #isClosed = false;
  /** Of the clients that were replaced: they answer what they were asked before. */
  readonly #old = new Set<KafkajsHome>();
  readonly #calls = new Set<Promise<unknown>>();

  constructor(makeHome: () => KafkajsHome) {
    this.#makeHome = makeHome;
    this.#home = makeHome();
    this.#admin = this.#home.kafka.admin({ retry: RETRY });
  }

  async connect(): Promise<void> {
    await this.#admin.connect().catch(rethrow);
  }

  async disconnect(): Promise<void> {
    this.#isClosed = true;
    await this.#admin.disconnect().catch(rethrow);
    this.cut();
  }

  cut(): void {
    this.#isClosed = true;
    for (const home of [this.#home, ...this.#old]) home.cut();
  }

  async brokers(): Promise<readonly number[]> {
    const { brokers } = await this.#call((admin) => admin.describeCluster());
    return brokers.map(({ nodeId }) => nodeId);
  }

  async metadata(topics: readonly string[]): Promise<ReadonlyMap<string, readonly PartitionMetadata[] | DriverError>> {
    if (topics.length === 0) return new Map();
    try {
      return new Map(await this.#metadataOf(topics));
    } catch (error) {
      const known = driverErrorOf(error);
      if (known.type === undefined) throw known;
      // One topic's trouble fails the answer for all: each is asked about alone.
      const [only] = topics;
      if (topics.length === 1 && only !== undefined) return new Map([[only, known]]);
    }
    const found = new Map<string, readonly PartitionMetadata[] | DriverError>();
    for (let from = 0; from < topics.length; from += ALONE_AT_A_TIME) {
      const some = topics.slice(from, from + ALONE_AT_A_TIME);
      for (const one of await Promise.all(some.map((topic) => this.metadata([topic]))))
        for (const [name, each] of one) found.set(name, each);
    }
    return found;
  }

  async listTopics(): Promise<readonly string[]> {
    return await this.#call((admin) => admin.listTopics());
  }

  async createTopic({ topic, partitions, replication, config }: TopicSpec): Promise<boolean> {
    return await this.#call((admin) =>
      admin.createTopics({
        waitForLeaders: false,
        timeout: this.#home.options.requestTimeoutMs,
        topics: [
          {
            topic,
            numPartitions: partitions,
            replicationFactor: replication,
            configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
          },
        ],
      }),
    );
  }

  async topicConfig(topic: string, names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    return await this.#config(this.#home.module.ConfigResourceTypes.TOPIC, topic, names);
  }

  async brokerConfig(broker: number, names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    return await this.#config(this.#home.module.ConfigResourceTypes.BROKER, String(broker), names);
  }

  async offsets(topic: string, at: "earliest" | "latest" | { readonly time: number }): Promise<readonly PartitionOffset[]> {
    const found =
      typeof at === "object"
        ? await this.#call((admin) => admin.fetchTopicOffsetsByTimestamp(topic, at.time))
        : (await this.#call((admin) => admin.fetchTopicOffsets(topic))).map(({ partition, high, low }) => ({
            partition,
            offset: at === "earliest" ? low : high,
          }));
    // kafkajs tells of the partitions that it knows: none at all, when it was just looking for those of others.
    if (found.length === 0) throw new DriverError("unavailable", `the partitions of the topic "${topic}" are not known at this moment`);
    return found.map(({ partition, offset }) => ({ partition, offset: Number(offset) }));
  }

  async committed(groupId: string, topics: readonly string[]): Promise<readonly CommittedOffset[]> {
    if (topics.length === 0) return [];
    const asked = new Set(topics);
    // Of single topics kafkajs asks for the partitions that it knows: none at all, when it was just looking for those of others.
    const found = await this.#call((admin) => admin.fetchOffsets({ groupId }));
    return found
      .filter(({ topic }) => asked.has(topic))
      .flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset, metadata }) => ({ topic, partition, offset: Number(offset), metadata: metadata ?? "" })),
      )
      .filter(({ offset }) => offset !== NOTHING_COMMITTED);
  }

  async hasCommitted(groupId: string): Promise<boolean> {
    const found = await this.#call((admin) => admin.fetchOffsets({ groupId }));
    return found.some(({ partitions }) => partitions.some(({ offset }) => Number(offset) !== NOTHING_COMMITTED));
  }

  async deleteRecords(topic: string, before: readonly PartitionOffset[]): Promise<void> {
    if (before.length === 0) return;
    const partitions = before.map(({ partition, offset }) => ({ partition, offset: String(offset) }));
    await this.#call(async (admin) => {
      // kafkajs looks for the leaders in what it knows already.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions });
    });
  }

  async #metadataOf(topics: readonly string[]): Promise<readonly (readonly [string, readonly PartitionMetadata[]])[]> {
    const { topics: found } = await this.#tracked(this.#admin.fetchTopicMetadata({ topics: [...topics] }));
    return found.map(({ name, partitions }) => [
      name,
      partitions
        .map(({ partitionId, leader, replicas }) => ({ partition: partitionId, leader, replicas }))
        .sort((a, b) => a.partition - b.partition),
    ]);
  }

  async #config(type: number, name: string, names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { resources } = await this.#call((admin) =>
      admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name, configNames: [...names] }] }),
    );
    return Object.fromEntries(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? []);
  }

  async #call<T>(call: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#admin;
    try {
      return await this.#tracked(call(admin));
    } catch (cause) {
      const error = driverErrorOf(cause);
      if (error.kind !== "no-topic" && error.type !== "LEADER_NOT_AVAILABLE") throw error;
      if (this.#admin === admin && !this.#isClosed) {
        // Calls that fail at the same time share one.
        this.#renewing ??= this.#renew().finally(() => {
          this.#renewing = undefined;
        });
        await this.#renewing;
      }
      return await this.#tracked(call(this.#admin)).catch(rethrow);
    }
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    const ended = (): boolean => this.#calls.delete(work);
    this.#calls.add(work);
    work.then(ended, ended);
    return work;
  }

  async #renew(): Promise<void> {
    const [oldHome, oldAdmin] = [this.#home, this.#admin];
    const home = this.#makeHome();
    const admin = home.kafka.admin({ retry: RETRY });
    await admin.connect().catch((error: unknown) => {
      home.cut();
      return rethrow(error);
    });
    if (this.#isClosed) {
      home.cut();
      throw new DriverError("unavailable", "the connection was closed meanwhile");
    }
    [this.#home, this.#admin] = [home, admin];
    this.#old.add(oldHome);
    void Promise.allSettled(this.#calls)
      .then(() => oldAdmin.disconnect())
      .catch(() => {})
      .finally(() => {
        oldHome.cut();
        this.#old.delete(oldHome);
      });
  }
}

function rethrow(error: unknown): never {
  throw driverErrorOf(error);
}
