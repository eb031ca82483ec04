import type { Assignment, GroupMember, TypesByTopic } from "./assigner.js";
import type { DriverError, IncomingRecord } from "./driver.js";

/** One member of a consumer group. */
export interface ConsumerSettings {
  readonly groupId: string;
  /** All exist. */
  readonly topics: readonly string[];
  /** What the group is told that this member handles, of topics of which it does not handle all. */
  readonly types: TypesByTopic;
  /** Topics that need not be asked for each time, and for how long they may be left alone when there was nothing of them, in milliseconds. */
  readonly rests: ReadonlyMap<string, number>;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** How long the group waits for a member to come back in a rebalance. */
  readonly rebalanceTimeoutMs: number;
  /** The longest that a fetch waits in the broker, and so the longest that `resume` and `stop` take to be noticed. */
  readonly maxWaitMs: number;
  /** A partition's part of one fetch. No limit on the size of a record: one is always fetched. */
  readonly maxBytesPerPartition: number;
  /** All partitions of a broker together, in one fetch. */
  readonly maxBytes: number;
  /** New partitions are noticed within this time. */
  readonly metadataMaxAgeMs: number;
  /**
   * Whether a batch that cannot be decompressed (no codec, or damaged) becomes one record that has the compressed bytes as its value and
   * a content type of {@link UNDECODABLE_BATCH}, instead of ending the consumer. It costs every promise of the process a little, so it is asked for only
   * where one was met.
   */
  readonly passesUndecodable: boolean;
  /** Called in the member that leads the group. */
  assign(members: readonly GroupMember[]): Promise<ReadonlyMap<string, Assignment>>;
}

/** What was fetched of one partition at a time, in order. */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  /** The number of the broker that it was fetched from. */
  readonly broker: number;
  readonly records: readonly IncomingRecord[];
  /** The offset that was asked for: what lies between it and the first record is no record. */
  readonly fromOffset: number;
  /** The offset after the last one fetched; beyond the last record where marks of transactions follow it. */
  readonly nextOffset: number;
  /** Where the partition ended when this was fetched. */
  readonly endOffset: number;
  /** Whether the partition was sought elsewhere after this was fetched. */
  readonly isStale: boolean;
}

/** The beginning of the content type of a record that stands for a batch that could not be read; the codec's name follows. */
export const UNDECODABLE_BATCH = "application/vnd.apache.kafka.record-batch+";

export interface CommitOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
}

/** All are called synchronously and do not throw. */
export interface ConsumerHandlers {
  /** This member has joined, with these partitions and no others, and reads each from the committed offset on (from the first where there is none). */
  joined(assignment: Assignment): void;
  /** The group is about to share its partitions out anew; what is committed within the call still counts. */
  rebalancing(): void;
  /** Fetched and handed over. Nothing more is fetched, from the same broker, until the answer resolves: at once as a rule, never later than a fraction of the heartbeat interval. */
  batch(batch: RecordBatch): Promise<void> | undefined;
  /** Nothing from the first of these offsets up to the second is a record (marks of transactions, what was aborted), and no batch says so. */
  passed(topic: string, partition: number, from: number, to: number): void;
  /** Nothing comes any more: this consumer is to be stopped and another one made. */
  ended(error: DriverError): void;
}

/** Used once: started, then stopped. */
export interface DriverConsumer {
  /** `performance.now()` when the brokers were last heard of (an answer to a fetch, a join); of several the one that has been asked for longest counts. */
  readonly lastSignOfLife: number;
  /** Connects and joins. @throws DriverError "no-topic" naming one, and all others */
  start(handlers: ConsumerHandlers): Promise<void>;
  pause(topic: string, partition: number): void;
  resume(topic: string, partition: number): void;
  /** Fetches from there on; what is on its way is dropped. */
  seek(topic: string, partition: number, offset: number): void;
  /** Tries once, for the generation that was joined last. @throws DriverError "fenced" when that is over */
  commit(offsets: readonly CommitOffset[]): Promise<void>;
  /** Leaves the group. May take long, or for ever, when the broker is silent. */
  stop(): Promise<void>;
  /** Destroys its connections: what still waits for an answer ends. */
  cut(): void;
}
