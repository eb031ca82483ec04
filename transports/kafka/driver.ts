/**
 * The seam to the broker's client: what the adapter needs of it, in types that no client knows. `kafkajs-*.ts` implement it; another client can
 * take its place without a change elsewhere. Offsets are numbers (exact up to 2^53, more than any partition will hold), times milliseconds.
 */

/** A value of a record's header; several under one name keep their order. */
export type HeaderValue = string | Buffer | readonly (string | Buffer)[];

/** What a record holds, wherever it is or goes. */
export interface RecordContent {
  readonly key: Buffer | null;
  /** `null`: a tombstone, which Kafka allows and the bus never writes of its own accord. */
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, HeaderValue>>;
}
/** One record that was read. */
export interface IncomingRecord extends RecordContent {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
}
/** Records for the partition that was chosen for them, in their order; at least one. */
export interface OutgoingBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly RecordContent[];
  /** More than the topic takes, unless they are compressed: they are, whatever else is not. */
  readonly isOversized: boolean;
}

/** Rejects with {@link DriverError}, in all its methods. */
export interface DriverProducer {
  /** `performance.now()` when it was last told that what it sent is stored. */
  readonly lastAnswered: number;
  connect(): Promise<void>;
  /**
   * Appends the records with `acks: -1`, no partition's twice; resolves when all in-sync replicas have them. Tries once: a rejection
   * other than of the kinds "too-large", "forbidden" and "invalid" says nothing about what was stored. With records of several partitions
   * it may reject for one of them although the others were stored. With "timeout" after `limitMs` milliseconds: what was not written by then never is.
   */
  produce(batches: readonly OutgoingBatch[], limitMs: number): Promise<void>;
  /** Waits for what is in flight. */
  disconnect(): Promise<void>;
  /** Drops the connections, without ceremony: for a broker that no longer answers. */
  cut(): void;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** The node that leads it, or -1 while there is none. */
  readonly leader: number;
  readonly replicas: readonly number[];
}
export interface PartitionOffset {
  readonly partition: number;
  readonly offset: number;
}
export interface CommittedOffset extends PartitionOffset {
  readonly topic: string;
  /** The text committed with the offset, "" where there is none. `offset` is -1 where nothing was committed. */
  readonly metadata: string;
}
/** A topic to be made. -1: as the cluster's default says. */
export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly replication: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Rejects with {@link DriverError}, in all its methods. */
export interface DriverAdmin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  /** Drops the connections, without ceremony: for a broker that no longer answers. */
  cut(): void;
  /** The ids of the brokers that are up. */
  brokers(): Promise<readonly number[]>;
  /**
   * The partitions of each topic, in their order, or why they are not known: "no-topic", "forbidden" (no right to see it), "unavailable" (a
   * partition has no leader now). Rejects only when nothing can be said about any.
   */
  metadata(topics: readonly string[]): Promise<ReadonlyMap<string, readonly PartitionMetadata[] | DriverError>>;
  /** All topics that this client may see. */
  listTopics(): Promise<readonly string[]>;
  /** Makes a topic, without waiting for its leaders; `false`: it was there, as it is. */
  createTopic(spec: TopicSpec): Promise<boolean>;
  /** The values in force of these settings of a topic. */
  topicConfig(topic: string, names: readonly string[]): Promise<Readonly<Record<string, string>>>;
  /** The same of a broker, by its id. */
  brokerConfig(broker: number, names: readonly string[]): Promise<Readonly<Record<string, string>>>;
  /** Where each partition begins, ends, or is at a time (its end when nothing is that young). At least one. @throws DriverError */
  offsets(topic: string, at: "earliest" | "latest" | { readonly time: number }): Promise<readonly PartitionOffset[]>;
  /** What the group has committed of these topics; a partition of which it has committed nothing is left out. */
  committed(groupId: string, topics: readonly string[]): Promise<readonly CommittedOffset[]>;
  /** Whether the group has committed anything, of whatever topic. */
  hasCommitted(groupId: string): Promise<boolean>;
  /** Deletes what lies before these offsets. */
  deleteRecords(topic: string, before: readonly PartitionOffset[]): Promise<void>;
}

/** What went wrong, as far as somebody acts on it. */
export type DriverErrorKind =
  /** Not connected, connection refused or lost, no leader, not enough replicas: it may pass. */
  | "unavailable"
  /** No answer in time. */
  | "timeout"
  | "too-large"
  | "no-topic"
  /** The right is missing (ACL). */
  | "forbidden"
  /** Wrong credentials or mechanism. */
  | "authentication"
  /** The broker will never take it: wrong name, setting, number of replicas, record. */
  | "invalid"
  /** Rebalance in progress, unknown member, old generation. */
  | "fenced"
  | "unknown";

/** Whatever the client rejects with. The text holds no secret. */
export class DriverError extends Error {
  override readonly name: string = "DriverError";
  readonly kind: DriverErrorKind;
  /** The protocol's name of it ("NOT_ENOUGH_REPLICAS", "INVALID_REPLICATION_FACTOR"), where the broker said it. */
  readonly type: string | undefined;

  constructor(kind: DriverErrorKind, text: string, options: { readonly cause?: unknown; readonly type?: string | undefined } = {}) {
    super(text, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.type = options.type;
  }

  /** Whether it cannot pass by itself. */
  get isForGood(): boolean {
    return this.kind === "no-topic" || this.kind === "forbidden" || this.kind === "authentication";
  }
}
