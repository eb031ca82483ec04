import { randomBytes } from "node:crypto";
import type { DeliverySink } from "../../src/contracts/transport.js";
import { settledBy } from "../../src/util/time-limit.js";
import { AssignedPartition, type TopicRole } from "./assigned-partition.js";
import type { Assignment } from "./assigner.js";
import { CarefulRuns } from "./careful-runs.js";
import { readCommitMetadata } from "./commit-metadata.js";
import { ConsumerSupervisor } from "./consumer-supervisor.js";
import type { KafkaDelivery } from "./delivery.js";
import { type CommittedOffset, DriverError } from "./driver.js";
import type { DriverConsumer, RecordBatch } from "./driver-consumer.js";
import { longestJoin, makeMember } from "./group-member.js";
import { OffsetCommitter } from "./offset-committer.js";
import { PartitionLoader } from "./partition-loader.js";
import { PartitionSet } from "./partition-set.js";
import type { ReaderPurpose } from "./reader-purpose.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { RecordPump } from "./record-pump.js";
import { SkippedOffsets } from "./skipped-offsets.js";

/** A commit is not put off beyond so many settlements. */
const COMMIT_AT_MOST = 1_000;
/** A member that has not joined after so long, or not heard of the brokers, is made anew: unless sessions are so long that a rebalance may take longer. */
const STALL_MS = 90_000;
const LAST_COMMIT_MS = 5_000;
/** Left of the time for the last commit when the group did not share out its partitions in it. */
const LEAVING_MS = 500;

/**
 * Reads topics as a member of a consumer group: what is assigned is loaded, handed over, committed, and handed on when another member gets it.
 * It outlives its members: one that fails is replaced, and what was handed over stays settleable unless another had the partition meanwhile.
 */
export class GroupReader {
  readonly #environment: ReceiverEnvironment;
  readonly #purpose: ReaderPurpose;
  /** Nobody else writes it beside an offset. */
  readonly #writer: string = randomBytes(6).toString("base64url");
  readonly #partitions: PartitionSet;
  readonly #stopping = new AbortController();
  readonly #pump: RecordPump;
  readonly #committer: OffsetCommitter;
  readonly #loader: PartitionLoader;
  readonly #skipped: SkippedOffsets;
  readonly #careful: CarefulRuns;
  readonly #supervisor: ConsumerSupervisor;
  readonly #commitAt: number;
  #roles: ReadonlyMap<string, TopicRole> = new Map();
  /** How often a member of ours was given its part. */
  #joins = 0;
  #isJoined = false;
  /** The group shares out its partitions, and this member has not heard yet what it is given. */
  #isRebalancing = false;
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
        begin: (partition) => {
          partition.begin();
          this.#committer.soon(partition);
        },
        careful: (partition) => this.#careful.request(partition),
        pause: ({ topic, partition }) => this.#supervisor.member?.pause(topic, partition),
        resume: ({ topic, partition }) => this.#supervisor.member?.resume(topic, partition),
        passed: (partition) => this.#committer.later(partition),
        ended: () => this.#tellIfExhausted(),
      },
      {
        ...home,
        settled: (delivery) => this.#settled(delivery),
        left: (delivery) => {
          this.#pump.left(delivery);
          this.#careful.ended(delivery.record, "gone");
        },
        survived: ({ record }) => this.#careful.ended(record, "survived"),
      },
      sink,
      prefetch,
      endOf && (({ topic, partition }) => endOf(topic, partition)),
    );
    this.#committer = new OffsetCommitter(
      {
        getMember: () => (this.#isJoined ? this.#supervisor.member : undefined),
        committed: (partition, settledCount) => this.#pump.committed(partition, settledCount),
        settled: () => {
          // Who may commit is in the group: whatever was refused before.
          this.#pump.isOpen = this.#isJoined && !this.#stopping.signal.aborted;
          this.#pump.run();
        },
        // It opens when the member has joined again, of which a client need not say beforehand that it does, or when a later commit is accepted.
        fenced: () => {
          this.#pump.isOpen = false;
        },
      },
      group,
      this.#writer,
      logger,
    );
    this.#partitions = new PartitionSet(this.#pump, this.#committer);
    this.#loader = new PartitionLoader(
      connection,
      group,
      {
        getMember: () => (this.#isJoined ? this.#supervisor.member : undefined),
        startOf: (topic) => purpose.startOf(topic),
        loaded: (partition, committed) => this.#loaded(partition, committed),
      },
      logger,
    );
    this.#skipped = new SkippedOffsets(connection, this.#partitions, () => this.#supervisor.member, prefetch, logger);
    this.#careful = new CarefulRuns(this.#pump, this.#committer, () => this.#partitions, this.#stopping.signal, logger);
    this.#supervisor = new ConsumerSupervisor(
      {
        make: (passesUndecodable) => this.#make(passesUndecodable),
        joined: (assignment) => this.#joined(assignment),
        rebalancing: () => this.#rebalancing(),
        batch: (batch) => this.#batch(batch),
        passed: (topic, partition, from, to) => this.#partitions.passed(topic, partition, from, to),
        down: (error) => this.#down(error),
      },
      group,
      longestJoin(environment.options, STALL_MS),
      logger,
    );
  }

  /** Of what is assigned. */
  get partitions(): Iterable<AssignedPartition> {
    return this.#partitions;
  }
  get roles(): ReadonlyMap<string, TopicRole> {
    return this.#roles;
  }

  /** Whether everything that is assigned was handed over to its end. */
  get isExhausted(): boolean {
    const { endOf } = this.#purpose;
    return endOf !== undefined && this.#isJoined && this.#partitions.haveReached(endOf);
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

  /** Resolves when the group has a beginning in each topic and this member reads what is assigned to it. @throws DriverError when that cannot pass by itself, or not in time (longer where sessions are) */
  async whenReading(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + longestJoin(this.#environment.options, timeoutMs);
    for (;;) {
      if (this.#isJoined && this.#partitions.areReady && (await this.#loader.haveBegun([...this.#roles.keys()]))) return;
      if (this.#lastDown?.isForGood) throw this.#lastDown;
      if (performance.now() > deadline) throw this.#lastDown ?? new DriverError("timeout", "the group did not share out its partitions");
      await this.#whenChanged(performance.now() + 100);
    }
  }

  /** Hands nothing over any more. */
  stop(): void {
    this.#stopping.abort();
    this.#pump.stop();
    for (const { topic, partition, isPaused } of this.#partitions) if (!isPaused) this.#supervisor.member?.pause(topic, partition);
  }

  /** Commits what is done and leaves the group. Never rejects. */
  async close(deadline: number): Promise<void> {
    this.stop();
    const lastCommit = Math.min(deadline, performance.now() + LAST_COMMIT_MS);
    // Nothing can be committed until the group has shared out its partitions; what stays with this member can be then, and nobody handles it again.
    const patience = lastCommit - LEAVING_MS;
    while ((this.#isRebalancing ? this.#committer.isBehind : this.#committer.isHeldUp) && performance.now() < patience)
      await this.#whenChanged(patience);
    await settledBy(lastCommit, this.#committer.flush());
    this.#committer.close();
    if (this.#isJoined) await settledBy(lastCommit, this.#committer.handOver(this.#partitions));
    this.#isJoined = false;
    await this.#supervisor.stop(deadline);
    this.#partitions.lose([...this.#partitions], true);
  }

  async #make(passesUndecodable: boolean): Promise<DriverConsumer> {
    const roles = await this.#purpose.topics();
    this.#roles = new Map(roles.map((role) => [role.topic, role]));
    return makeMember(this.#environment, this.#purpose, roles, passesUndecodable);
  }

  #joined(assignment: Assignment): void {
    const join = ++this.#joins;
    this.#isJoined = true;
    this.#isRebalancing = false;
    const isHandedOver = this.#isHandedOver;
    this.#isHandedOver = false;
    this.#lastDown = undefined;
    const lost = this.#partitions.notIn(assignment);
    const kept = [...this.#partitions].filter((partition) => !lost.includes(partition));
    const fresh: AssignedPartition[] = [];
    for (const [topic, partitions] of assignment) {
      const role = this.#roles.get(topic);
      for (const partition of partitions) {
        if (role && !this.#partitions.get(topic, partition)) fresh.push(this.#partitions.add(new AssignedPartition(role, partition)));
      }
    }
    // Also where the member is the same: it may have missed a generation in which another had them.
    for (const partition of kept) this.#partitions.suspend(partition);
    this.#partitions.lose(lost, isHandedOver);
    this.#pump.isOpen = !this.#stopping.signal.aborted;
    // What was asked for an earlier generation says nothing about this one.
    void this.#loader.load([...fresh, ...kept], ({ phase }) => phase === "loading" && join === this.#joins);
    for (const { topic, partition } of fresh) this.#supervisor.member?.resume(topic, partition);
    this.#committer.resume();
    this.#purpose.status(undefined);
    this.#pump.run();
    this.#tellChanged();
    this.#tellIfExhausted();
  }

  #rebalancing(): void {
    this.#pump.isOpen = false;
    const join = this.#joins;
    void this.#committer.handOver(this.#partitions).then((isDone) => {
      // An answer that comes after the next join says nothing of the one after that.
      if (join === this.#joins) this.#isHandedOver = isDone;
    });
    this.#isJoined = false;
    this.#isRebalancing = true;
  }

  #down(error: DriverError): void {
    this.#isJoined = false;
    this.#isRebalancing = false;
    this.#pump.isOpen = false;
    this.#lastDown = error;
    this.#partitions.memberEnded();
    this.#purpose.status(error);
    this.#tellChanged();
  }

  #batch(batch: RecordBatch): Promise<void> | undefined {
    const partition = this.#partitions.get(batch.topic, batch.partition);
    if (!partition || batch.isStale) return undefined;
    if (!partition.isBeyond(batch) && !partition.isBelow(batch)) return this.#pump.accept(partition, batch);
    this.#skipped.goBack(partition, batch);
    return undefined;
  }

  #loaded(partition: AssignedPartition, { offset, metadata }: CommittedOffset): void {
    const found = readCommitMetadata(metadata);
    let current = partition;
    if (partition.wasReading && found.writer === this.#writer) {
      partition.goOn();
      // The starts that were taken back when it might have gone are told again.
      this.#committer.soon(partition);
    } else {
      // Another member had it in between.
      if (partition.wasReading) current = this.#partitions.replace(partition, false);
      this.#partitions.load(current, offset, found, this.#purpose.prefetch);
      current.expectRefetch();
      if (current !== partition) this.#supervisor.member?.resume(current.topic, current.partition);
    }
    // Always: kafkajs may stand elsewhere, by a seek of an earlier assignment or by a batch of one that it took for done.
    this.#skipped.refetch(current);
    this.#pump.run();
    this.#tellChanged();
    this.#tellIfExhausted();
  }

  #settled(delivery: KafkaDelivery): void {
    this.#pump.settled(delivery);
    this.#careful.ended(delivery.record, "settled");
    if (this.#pump.uncommitted >= this.#commitAt) this.#committer.soon(delivery.partition);
    else this.#committer.later(delivery.partition);
  }

  #tellIfExhausted(): void {
    if (this.isExhausted) this.#purpose.exhausted?.();
  }

  #whenChanged(deadline: number): Promise<unknown> {
    return settledBy(deadline, new Promise<void>((resolve) => this.#changed.push(resolve)));
  }

  #tellChanged(): void {
    for (const tell of this.#changed.splice(0)) tell();
  }
}
