import { type Admin, AssignerProtocol, Kafka, logLevel } from "kafkajs";

/** The services': short, so that a frozen instance is missed within a test's patience. */
export const SESSION_TIMEOUT_MS = 6_000;

/** What `scripts/brokers.d` gives for a Kafka server, as far as it is used here. */
export interface KafkaNode {
  readonly id: number;
  readonly name: string;
  /** `host:port`, without a proxy. */
  readonly address: string;
  readonly pid: number | undefined;
  start(): Promise<void>;
  launch(): Promise<void>;
  ready(): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  deleteData(): void;
}

export interface KafkaCluster {
  readonly nodes: readonly KafkaNode[];
  start(): Promise<void>;
  whole(): Promise<void>;
  stop(): Promise<void>;
  deleteData(): void;
}

/** A port of the broker's whose clients are sent to another one, where a proxy is. */
export interface Detour {
  readonly port: number;
  readonly advertisedPort: number;
}

interface KafkaInstance {
  readonly name: string;
  readonly port: number;
  readonly detours: readonly Detour[];
  readonly settings: Readonly<Record<string, string | number>>;
}

interface KafkaClusterInstance {
  readonly name: string;
  readonly firstPort: number;
  /** Of each node. */
  readonly detours: readonly (readonly Detour[])[];
  readonly settings: Readonly<Record<string, string | number>>;
}

/** How one of the brokers comes to this machine. */
interface BrokerInstaller {
  /** Does nothing when it is there. @throws an error named "BrokerUnavailable" where it cannot be had. */
  install(): Promise<void>;
}

interface BrokerScripts {
  readonly kafka: BrokerInstaller;
  readonly kafka3: BrokerInstaller;
  readonly kafkaCluster: BrokerInstaller;
  kafkaControl(instance: KafkaInstance): KafkaNode;
  kafka3Control(instance: KafkaInstance): KafkaNode;
  kafkaClusterControl(instance: KafkaClusterInstance): KafkaCluster;
}

/** The broker scripts are plain JavaScript with types in comments; this is the one place that says what they are. */
export async function brokerScripts(): Promise<BrokerScripts> {
  const location = new URL("../../../scripts/brokers.d/index.mjs", import.meta.url).href;
  return (await import(location)) as BrokerScripts;
}

/** Offsets as this suite uses them: far below the 2^53 up to which a number is exact. */
export interface PartitionOffsets {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

/** Asks and changes what only an administrator can, past every proxy, with a connection of its own each time. */
export class KafkaAdmin {
  readonly #kafka: Kafka;

  constructor(addresses: readonly string[]) {
    this.#kafka = new Kafka({
      clientId: "faults",
      brokers: [...addresses],
      logLevel: logLevel.NOTHING,
      connectionTimeout: 2_000,
      requestTimeout: 10_000,
      retry: { retries: 8, initialRetryTime: 200, maxRetryTime: 1_000 },
    });
  }

  async do<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    try {
      await admin.connect();
      return await work(admin);
    } finally {
      await admin.disconnect().catch(() => {});
    }
  }

  topics(): Promise<readonly string[]> {
    return this.do((admin) => admin.listTopics());
  }

  /** Where each partition of a topic begins and ends. */
  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    const offsets = await this.do((admin) => admin.fetchTopicOffsets(topic));
    return offsets.map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }));
  }

  /** Deletes what lies before these offsets. */
  async deleteRecords(topic: string, before: readonly { readonly partition: number; readonly offset: number }[]): Promise<void> {
    if (before.length === 0) return;
    const partitions = before.map(({ partition, offset }) => ({ partition, offset: String(offset) }));
    await this.do(async (client) => {
      await client.fetchTopicOffsets(topic); // which makes it learn who leads the partitions
      await client.deleteTopicRecords({ topic, partitions });
    });
  }

  /** What a group has committed of a topic: -1 for a partition of which it has nothing. */
  async committed(group: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const [found] = await this.do((admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }));
    return new Map((found?.partitions ?? []).map(({ partition, offset }) => [partition, Number(offset)]));
  }

  /** The same with what the adapter says, beside the offset, is done beyond it. */
  async progress(group: string, topic: string): Promise<ReadonlyMap<number, { readonly offset: number; readonly doneBeyond: string }>> {
    const [found] = await this.do((admin) => admin.fetchOffsets({ groupId: group, topics: [topic] }));
    const partitions = found?.partitions ?? [];
    return new Map(
      partitions.map(({ metadata, offset, partition }) => [
        partition,
        { offset: Number(offset), doneBeyond: /;d=([^;]*)/.exec(metadata ?? "")?.[1] ?? "" },
      ]),
    );
  }

  /** The client id of the member of a group that has a partition. */
  async ownerOf(group: string, topic: string, partition: number): Promise<string> {
    const { groups } = await this.do((admin) => admin.describeGroups([group]));
    const state = groups[0]?.state ?? "unknown";
    const owner = groups[0]?.members.find(({ memberAssignment }) =>
      AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic]?.includes(partition),
    );
    return `${owner?.clientId ?? "nobody"}, group ${state}`;
  }

  /** How many records of a topic a group has not committed. */
  async lag(group: string, topic: string): Promise<number> {
    const [offsets, committed] = await Promise.all([this.offsets(topic), this.committed(group, topic)]);
    return offsets.reduce((sum, { partition, low, high }) => sum + high - Math.max(low, committed.get(partition) ?? -1), 0);
  }

  /** The id of the node that leads a partition. */
  async leaderOf(topic: string, partition: number): Promise<number | undefined> {
    const { topics } = await this.do((admin) => admin.fetchTopicMetadata({ topics: [topic] }));
    return topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader;
  }

  /** The id of the node that coordinates a group: the one that leads the partition where the group's offsets are. */
  async coordinatorOf(group: string): Promise<number | undefined> {
    const { topics } = await this.do((admin) => admin.fetchTopicMetadata({ topics: ["__consumer_offsets"] }));
    const partitions = topics[0]?.partitions.length ?? 1;
    return await this.leaderOf("__consumer_offsets", Math.abs(javaHash(group)) % partitions);
  }

  /** Whether every partition has all its replicas in sync. */
  async isInSync(): Promise<boolean> {
    const { topics } = await this.do((admin) => admin.fetchTopicMetadata());
    return topics.every(({ partitions }) => partitions.every(({ isr, leader, replicas }) => leader >= 0 && isr.length === replicas.length));
  }
}

/** `String.hashCode()` of Java. */
function javaHash(text: string): number {
  let hash = 0;
  for (const unit of text.split("")) hash = (31 * hash + unit.charCodeAt(0)) | 0;
  return hash;
}
