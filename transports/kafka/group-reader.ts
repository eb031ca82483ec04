import { randomBytes } from "node:crypto";
import type { DeliverySink } from "../../src/contracts/transport.js";
import { AssignedPartition, type TopicRole } from "./assigned-partition.js";
import { type Assignment, assignPartitions, type GroupMember } from "./assigner.js";
import { CarefulRuns } from "./careful-runs.js";
import { readCommitMetadata } from "./commit-metadata.js";
import { ConsumerSupervisor } from "./consumer-supervisor.js";
import type { DeliveryHome, KafkaDelivery } from "./delivery.js";
import { type CommittedOffset, DriverError } from "./driver.js";
import type { DriverConsumer, RecordBatch } from "./driver-consumer.js";
import { OffsetCommitter } from "./offset-committer.js";
import type { StartPosition } from "./options.js";
import { PartitionLoader } from "./partition-loader.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { RecordPump } from "./record-pump.js";
import { Survivals } from "./start-counts.js";
import { settledBy } from "./time-limit.js";

/** A commit is not put off beyond so many settlements. */
const COMMIT_AT_MOST = 1_000;
const MAX_WAIT_MS = 200;
const MAX_BYTES_PER_PARTITION = 256 * 1024;
const MAX_BYTES = 4 * 1024 * 1024;
/** New partitions are noticed within this time. */
const METADATA_MAX_AGE_MS = 30_000;
const LONGEST_HEARTBEAT_MS = 3_000;
/** A member that has not heard of the brokers for so long is made anew; a rebalance may take as long as the slowest member's session. */
const STALL_MS = 90_000;
const LAST_COMMIT_MS = 5_000;

/** What a reader is for. */
export interface ReaderPurpose {
  readonly group: string;
  readonly prefetch: number;
  /** What to read; asked for each time a member is made. @throws DriverError */
  topics(): Promise<readonly TopicRole[]>;
  /** Where a topic begins of which the group has never committed anything. */
  startOf(topic: string): StartPosition;
  /** Where a partition ends for this reader. */
  readonly endOf?: (topic: string, partition: number) => number;
  /** Everything assigned was read to its end. */
  readonly exhausted?: () => void;
  /** It reads; or not, and why. */
  status(down: DriverError | undefined): void;
  readonly home: Omit<DeliveryHome, "settled" | "left">;
}

/**
 * Reads topics as a member of a consumer group: what is assigned is loaded, handed over, committed, and handed on when another member gets it.
 * It outlives its members: one that fails is replaced, and what was handed over stays settleable unless another had the partition meanwhile.
 */
export class GroupReader {
  readonly #environment: ReceiverEnvironment;
  readonly #purpose: ReaderPurpose;
  /** Nobody else writes it beside an offset. */
  readonly #writer: string = randomBytes(6).toString("base64url");
  readonly #partitions = new Map<string, AssignedPartition>();
  readonly #stopping = new AbortController();
  readonly #survivals = new Survivals();
  readonly #pump: RecordPump;
  readonly #committer: OffsetCommitter;
  readonly #loader: PartitionLoader;
  readonly #careful: CarefulRuns;
  readonly #supervisor: ConsumerSupervisor;
  readonly #commitAt: number;
  #roles: ReadonlyMap<string, TopicRole> = new Map();
  /** Those that the group has begun: one that is without offsets again was deleted and made anew, and all that it has is news. */
  readonly #begunTopics = new Set<string>();
  #memberId = "";
  #isJoined = false;
  #isHandedOver = false;
  #changed: (() => void)[] = [];
  #lastDown: DriverError | undefined;

  constructor(environment: ReceiverEnvironment, purpose: ReaderPurpose, sink: DeliverySink) {
    const { connection, logger } = environment;
    const { group, prefetch, home, endOf } = purpose;
    this.#environment = environment;
    this.#purpose = purpose;
    this.#commitAt = Math.min(COMMIT_AT_MOST, Math.max(1, Math.floor(prefetch / 4)));
    this.#pump = new RecordPump(
      {
        begin: (partition) => this.#begin(partition),
        careful: () => this.#careful.request(),
        pause: ({ topic, partition }) => this.#supervisor.member?.pause(topic, partition),
        resume: ({ topic, partition }) => this.#supervisor.member?.resume(topic, partition),
        passed: (partition) => this.#committer.later(partition),
        ended: () => this.#tellIfExhausted(),
      },
      {
        storeRetry: (record, delayMs, failure) => home.storeRetry(record, delayMs, failure),
        storeDeadLetter: (record, failure) => home.storeDeadLetter(record, failure),
        giveBack: (record) => home.giveBack(record),
        settled: (delivery) => this.#settled(delivery),
        left: (delivery) => this.#pump.left(delivery),
      },
      sink,
      prefetch,
      endOf && (({ topic, partition }) => endOf(topic, partition)),
    );
    this.#committer = new OffsetCommitter(
      {
        getMember: () => (this.#isJoined ? this.#supervisor.member : undefined),
        committed: (partition, count) => this.#pump.committed(partition, count),
        settled: () => this.#pump.run(),
      },
      group,
      this.#writer,
      logger,
    );
    this.#loader = new PartitionLoader(
      connection,
      group,
      {
        getMember: () => (this.#isJoined ? this.#supervisor.member : undefined),
        startOf: (topic) => (this.#begunTopics.has(topic) ? "beginning" : purpose.startOf(topic)),
        loaded: (partition, committed, isFirst) => this.#loaded(partition, committed, isFirst),
      },
      logger,
    );
    this.#careful = new CarefulRuns(this.#pump, this.#committer, () => this.#partitions.values(), this.#stopping.signal, logger);
    this.#supervisor = new ConsumerSupervisor(
      {
        make: (passesUndecodable) => this.#make(passesUndecodable),
        joined: (memberId, assignment) => this.#joined(memberId, assignment),
        rebalancing: () => this.#rebalancing(),
        batch: (batch) => this.#batch(batch),
        down: (error) => this.#down(error),
      },
      group,
      STALL_MS,
      logger,
    );
  }

  /** Of what is assigned. */
  get partitions(): Iterable<AssignedPartition> {
    return this.#partitions.values();
  }
  get roles(): ReadonlyMap<string, TopicRole> {
    return this.#roles;
  }

  /** Whether everything that is assigned was handed over to its end. */
  get isExhausted(): boolean {
    const { endOf } = this.#purpose;
    if (!endOf || !this.#isJoined) return false;
    for (const { isReady, position, topic, partition } of this.#partitions.values()) {
      if (!isReady || position < endOf(topic, partition)) return false;
    }
    return true;
  }

  start(): void {
    this.#supervisor.start();
  }

  /** Has another member made, which reads what is to be read now. */
  renew(reason: string): void {
    this.#supervisor.renew(reason);
  }

  /** Resolves when what is settled is committed, or cannot be now. */
  flush(): Promise<void> {
    return this.#committer.flush();
  }

  /** Resolves when the group has a beginning in each topic and this member reads what is assigned to it. @throws DriverError when that cannot pass by itself, or not in time */
  async whenReading(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (this.#isJoined && [...this.#partitions.values()].every(({ isReady }) => isReady) && (await this.#hasBegun())) return;
      if (this.#lastDown && isForGood(this.#lastDown)) throw this.#lastDown;
      if (performance.now() > deadline) throw this.#lastDown ?? new DriverError("timeout", "the group did not share out its partitions");
      await settledBy(performance.now() + 100, new Promise<void>((resolve) => this.#changed.push(resolve)));
    }
  }

  /** Hands nothing over any more. */
  stop(): void {
    this.#stopping.abort();
    this.#pump.stop();
    for (const partition of this.#partitions.values()) {
      if (!partition.isPaused) this.#supervisor.member?.pause(partition.topic, partition.partition);
    }
  }

  /** Commits what is done and leaves the group. Never rejects. */
  async close(deadline: number): Promise<void> {
    this.stop();
    const lastCommit = Math.min(deadline, performance.now() + LAST_COMMIT_MS);
    await settledBy(lastCommit, this.#committer.flush());
    this.#committer.close();
    if (this.#isJoined) await settledBy(lastCommit, this.#committer.handOver(this.#partitions.values()));
    this.#isJoined = false;
    await this.#supervisor.stop(deadline);
    this.#lose([...this.#partitions.values()]);
  }

  async #make(passesUndecodable: boolean): Promise<DriverConsumer> {
    const { connection, options } = this.#environment;
    const roles = await this.#purpose.topics();
    this.#roles = new Map(roles.map((role) => [role.topic, role]));
    return connection.driver.consumer({
      groupId: this.#purpose.group,
      topics: [...this.#roles.keys()],
      sessionTimeoutMs: options.sessionTimeoutMs,
      heartbeatIntervalMs: Math.min(LONGEST_HEARTBEAT_MS, Math.ceil(options.sessionTimeoutMs / 4)),
      rebalanceTimeoutMs: options.sessionTimeoutMs * 2,
      maxWaitMs: MAX_WAIT_MS,
      maxBytesPerPartition: MAX_BYTES_PER_PARTITION,
      maxBytes: MAX_BYTES,
      metadataMaxAgeMs: METADATA_MAX_AGE_MS,
      passesUndecodable,
      assign: (members) => this.#assign(members),
    });
  }

  async #assign(members: readonly GroupMember[]): Promise<ReadonlyMap<string, Assignment>> {
    const topics = [...new Set(members.flatMap((member) => member.topics))];
    const metadata = await this.#environment.connection.admin((admin) => admin.metadata(topics));
    const partitionsOf = new Map<string, readonly number[]>();
    for (const [topic, found] of metadata) {
      if (!(found instanceof DriverError))
        partitionsOf.set(
          topic,
          found.map(({ partition }) => partition),
        );
    }
    return assignPartitions(members, partitionsOf);
  }

  #joined(memberId: string, assignment: Assignment): void {
    const isSameMember = memberId === this.#memberId;
    this.#memberId = memberId;
    this.#isJoined = true;
    this.#isHandedOver = false;
    this.#lastDown = undefined;
    const assigned = new Set([...assignment].flatMap(([topic, partitions]) => partitions.map((partition) => keyOf(topic, partition))));
    const lost = [...this.#partitions].filter(([key]) => !assigned.has(key)).map(([, partition]) => partition);
    const kept = [...this.#partitions.values()].filter((partition) => !lost.includes(partition));
    const fresh: AssignedPartition[] = [];
    for (const [topic, partitions] of assignment) {
      const role = this.#roles.get(topic);
      for (const partition of partitions) {
        if (role && !this.#partitions.has(keyOf(topic, partition))) fresh.push(this.#add(new AssignedPartition(role, partition)));
      }
    }
    for (const partition of kept) {
      partition.expectRefetch();
      if (!isSameMember) partition.suspend();
    }
    this.#lose(lost);
    this.#pump.isOpen = !this.#stopping.signal.aborted;
    void this.#load([...fresh, ...kept.filter(({ phase }) => phase === "loading")]);
    for (const partition of kept) if (partition.version !== partition.committedVersion) this.#committer.later(partition);
    for (const { topic, partition } of fresh) this.#supervisor.member?.resume(topic, partition);
    this.#committer.resume();
    this.#purpose.status(undefined);
    this.#pump.run();
    this.#tellChanged();
    this.#tellIfExhausted();
  }

  #load(partitions: readonly AssignedPartition[]): Promise<void> {
    return this.#loader.load(partitions, (partition) => partition.phase === "loading");
  }

  #rebalancing(): void {
    this.#pump.isOpen = false;
    void this.#committer.handOver(this.#partitions.values()).then((isDone) => {
      this.#isHandedOver = isDone;
    });
    this.#isJoined = false;
  }

  #down(error: DriverError): void {
    this.#isJoined = false;
    this.#pump.isOpen = false;
    this.#lastDown = error;
    for (const partition of this.#partitions.values()) partition.isPaused = false;
    this.#purpose.status(error);
    this.#tellChanged();
  }

  #batch(batch: RecordBatch): Promise<void> | undefined {
    const key = keyOf(batch.topic, batch.partition);
    const partition = this.#partitions.get(key);
    if (!partition || batch.isStale) return undefined;
    if (!partition.isBelow(batch)) return this.#pump.accept(partition, batch);
    this.#environment.logger.warn(
      `The log of ${batch.topic}/${batch.partition} begins anew, before what was committed: the topic was made again, or lost its end.`,
    );
    this.#lose([partition]);
    const anew = this.#add(new AssignedPartition(partition.role, batch.partition));
    const first = batch.records[0]?.offset ?? 0;
    anew.load(first, readCommitMetadata(""), this.#purpose.prefetch);
    return this.#pump.accept(anew, batch);
  }

  #loaded(partition: AssignedPartition, { topic, offset, metadata }: CommittedOffset, isFirst: boolean): void {
    const found = readCommitMetadata(metadata);
    if (partition.wasReading) {
      if (found.writer === this.#writer) {
        partition.goOn();
        this.#committer.later(partition);
        this.#pump.run();
        this.#tellChanged();
        return;
      }
      // Another member had it in between.
      this.#lose([partition]);
      const anew = this.#add(new AssignedPartition(partition.role, partition.partition));
      anew.load(offset, this.#survivals.less(keyOf(topic, partition.partition), found), this.#purpose.prefetch);
      this.#seek(anew, offset);
      this.#supervisor.member?.resume(topic, anew.partition);
    } else {
      partition.load(offset, this.#survivals.less(keyOf(topic, partition.partition), found), this.#purpose.prefetch);
      if (isFirst) this.#seek(partition, offset);
    }
    this.#pump.run();
    this.#tellChanged();
    this.#tellIfExhausted();
  }

  #seek(partition: AssignedPartition, offset: number): void {
    partition.expectRefetch();
    this.#supervisor.member?.seek(partition.topic, partition.partition, offset);
  }

  #begin(partition: AssignedPartition): void {
    partition.begin();
    this.#committer.soon(partition);
  }

  #settled(delivery: KafkaDelivery): void {
    this.#pump.settled(delivery);
    if (this.#pump.uncommitted >= this.#commitAt) this.#committer.soon(delivery.partition);
    else this.#committer.later(delivery.partition);
  }

  #add(partition: AssignedPartition): AssignedPartition {
    this.#partitions.set(keyOf(partition.topic, partition.partition), partition);
    this.#pump.add(partition);
    return partition;
  }

  #lose(partitions: readonly AssignedPartition[]): void {
    for (const partition of partitions) {
      const key = keyOf(partition.topic, partition.partition);
      if (!this.#isHandedOver) this.#survivals.note(key, partition.counts);
      if (this.#partitions.get(key) === partition) this.#partitions.delete(key);
      this.#committer.forget(partition);
      partition.lose();
      this.#pump.remove(partition);
    }
    // When all know it: one that hears of it may settle others.
    for (const partition of partitions) partition.announceLoss();
  }

  async #hasBegun(): Promise<boolean> {
    const topics = [...this.#roles.keys()].filter((topic) => this.#purpose.startOf(topic) !== "beginning");
    if (topics.length === 0) return true;
    try {
      const begun = await this.#loader.begun(topics);
      for (const topic of begun) this.#begunTopics.add(topic);
      return begun.size === topics.length;
    } catch {
      return false;
    }
  }

  #tellIfExhausted(): void {
    if (this.isExhausted) this.#purpose.exhausted?.();
  }

  #tellChanged(): void {
    for (const tell of this.#changed.splice(0)) tell();
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

function isForGood({ kind }: DriverError): boolean {
  return kind === "no-topic" || kind === "forbidden" || kind === "authentication";
}
