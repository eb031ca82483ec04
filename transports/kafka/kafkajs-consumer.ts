import type { Consumer, EachBatchPayload, PartitionAssigner } from "kafkajs";
import { within } from "../../src/util/time-limit.js";
import type { Assignment, GroupMember } from "./assigner.js";
import { DriverError } from "./driver.js";
import type { CommitOffset, ConsumerHandlers, ConsumerSettings, DriverConsumer } from "./driver-consumer.js";
import { textOf } from "./errors.js";
import { FetchWatch } from "./fetch-watch.js";
import { FetchedBatch } from "./kafkajs-batch.js";
import { driverErrorOf } from "./kafkajs-errors.js";
import type { KafkajsHome, KafkajsModule } from "./kafkajs-home.js";
import { passUndecodable } from "./kafkajs-undecodable.js";
import { readMemberData, writeMemberData } from "./member-data.js";

/** The name by which the members of a group agree on how partitions are shared out; a change of what it means needs another. */
const ASSIGNER_NAME = "trolleybus";
const ASSIGNER_VERSION = 1;

/** How often kafkajs repairs by itself before it gives up; then a new consumer is made, which loses nothing. */
const RETRY = { retries: 12, initialRetryTime: 200, maxRetryTime: 1_000 };

/** All batches of one fetch are handed over at the same time: no partition waits for its neighbour. */
const BATCHES_AT_ONCE = 64;

/** A member whose heartbeats were not answered for so many sessions is none any more; a rejoin, without heartbeats, may take two. */
const SESSIONS_WITHOUT_HEARTBEAT = 3;

type CommitFunction = EachBatchPayload["commitOffsetsIfNecessary"];
type ConsumerOptions = Parameters<KafkajsHome["kafka"]["consumer"]>[0];

/** kafkajs's consumer behind the seam. It commits only what it is told to, and never goes on by itself after it has failed. */
export class KafkajsConsumer implements DriverConsumer {
  readonly #home: KafkajsHome;
  readonly #settings: ConsumerSettings;
  readonly #consumer: Consumer;
  readonly #leave: (memberId: string) => Promise<void>;
  /** What the group is told that this member has, so that it may keep it. */
  #owned: Assignment = new Map();
  #commitNow: CommitFunction | undefined;
  #commits = 0;
  /** Under way with kafkajs's own repetitions. */
  #repeatedCommits = 0;
  #lastSignOfLife = performance.now();
  readonly #fetches = new FetchWatch();
  /** The broker that answered a fetch last: kafkajs hands over what it sent in the same stretch of code, and does not say whose it was. */
  #answered = -1;
  #lastHeartbeat = performance.now();
  /** The group shares out its partitions anew, and this member has not joined since. */
  #mustJoin = false;
  #isStopped = false;
  #end: ((error: DriverError) => void) | undefined;

  /** @param leave takes a member out of the group, over other connections than its own */
  constructor(home: KafkajsHome, settings: ConsumerSettings, leave: (memberId: string) => Promise<void>) {
    this.#home = home;
    this.#settings = settings;
    this.#leave = leave;
    for (const [topic, restMs] of settings.rests) home.rests.set(topic, restMs);
    const options: ConsumerOptions = {
      groupId: settings.groupId,
      partitionAssigners: [this.#assigner()],
      sessionTimeout: settings.sessionTimeoutMs,
      rebalanceTimeout: settings.rebalanceTimeoutMs,
      heartbeatInterval: settings.heartbeatIntervalMs,
      maxWaitTimeInMs: settings.maxWaitMs,
      minBytes: 1,
      maxBytes: settings.maxBytes,
      maxBytesPerPartition: settings.maxBytesPerPartition,
      metadataMaxAge: settings.metadataMaxAgeMs,
      allowAutoTopicCreation: false,
      retry: { ...RETRY, restartOnFailure: async () => false },
    };
    this.#consumer = home.kafka.consumer(options);
  }

  get lastSignOfLife(): number {
    return Math.min(this.#lastSignOfLife, this.#fetches.oldest);
  }

  async start(handlers: ConsumerHandlers): Promise<void> {
    const { events } = this.#consumer;
    this.#end = (error) => {
      if (!this.#isStopped) handlers.ended(error);
    };
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.#heard();
      this.#lastHeartbeat = performance.now();
      this.#mustJoin = false;
      this.#home.membership.isJoining = false;
      this.#owned = new Map(Object.entries(payload.memberAssignment));
      // Of what this member may not have any more.
      if (this.#repeatedCommits > 0)
        this.#end?.(new DriverError("fenced", "kafkajs repeats a commit of before the partitions were shared out"));
      handlers.joined(this.#owned);
    });
    this.#consumer.on(events.REBALANCING, () => {
      this.#mustJoin = true;
      handlers.rebalancing();
    });
    this.#consumer.on(events.HEARTBEAT, () => {
      this.#lastHeartbeat = performance.now();
    });
    this.#consumer.on(events.FETCH_START, ({ payload }) => {
      this.#fetches.started(payload.nodeId);
      this.#checkMembership();
    });
    this.#consumer.on(events.FETCH, ({ payload }) => {
      this.#fetches.ended(payload.nodeId);
      // It is a text, whatever kafkajs's types say.
      this.#answered = Number(payload.nodeId);
      this.#heard();
    });
    this.#consumer.on(events.START_BATCH_PROCESS, ({ payload }) => {
      const { topic, partition, batchSize, firstOffset, lastOffset } = payload;
      // kafkajs hands no batch over in which nothing is a record. Without a first offset nothing lies at or behind what it asked for, which it calls the last one.
      if (batchSize === 0) handlers.passed(topic, partition, Number(firstOffset ?? lastOffset), Number(lastOffset) + 1);
    });
    this.#consumer.on(events.COMMIT_OFFSETS, () => {
      this.#commits++;
    });
    this.#consumer.on(events.CRASH, ({ payload }) => this.#end?.(driverErrorOf(payload.error)));
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics: [...this.#settings.topics], fromBeginning: true });
      const run = (): Promise<void> =>
        this.#consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: true,
          partitionsConsumedConcurrently: BATCHES_AT_ONCE,
          eachBatch: async (payload) => {
            this.#commitNow = payload.commitOffsetsIfNecessary;
            await handlers.batch(new FetchedBatch(payload, this.#answered, this.#settings.passesUndecodable));
          },
        });
      await (this.#settings.passesUndecodable ? passUndecodable(this.#home.module, run) : run());
    } catch (error) {
      throw driverErrorOf(error);
    }
  }

  pause(topic: string, partition: number): void {
    this.#whileRunning(() => this.#consumer.pause([{ topic, partitions: [partition] }]));
  }

  resume(topic: string, partition: number): void {
    this.#whileRunning(() => this.#consumer.resume([{ topic, partitions: [partition] }]));
  }

  seek(topic: string, partition: number, offset: number): void {
    this.#whileRunning(() => this.#consumer.seek({ topic, partition, offset: String(offset) }));
  }

  async commit(offsets: readonly CommitOffset[]): Promise<void> {
    const limit = this.#settings.sessionTimeoutMs;
    await within(limit, this.#commit(offsets), () => {
      const silence = new DriverError("timeout", `a commit was not answered within ${limit} ms`);
      // kafkajs was seen to wait for ever, with no request on its way that could run out of time: what follows would wait too.
      this.#end?.(silence);
      return silence;
    });
  }

  async #commit(offsets: readonly CommitOffset[]): Promise<void> {
    try {
      // Given with each batch, and without the repetitions of `commitOffsets`, which would go on after a rebalance for partitions that are lost.
      if (this.#commitNow) return await this.#commitNow({ topics: byTopic(offsets) });
      const before = this.#commits;
      this.#repeatedCommits++;
      await this.#consumer.commitOffsets(offsets.map((offset) => ({ ...offset, offset: String(offset.offset) }))).finally(() => {
        this.#repeatedCommits--;
      });
      // It also resolves when it has done nothing since the consumer is about to stop.
      if (this.#commits === before) throw new DriverError("unavailable", "the consumer stopped before the offsets were committed");
    } catch (error) {
      throw driverErrorOf(error);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const { memberId, isJoining } = this.#home.membership;
    try {
      if (memberId === undefined || !(isJoining || this.#mustJoin)) return await this.#consumer.disconnect();
    } finally {
      this.#home.cut();
    }
    // kafkajs would leave once the partitions are shared out; cut off before, it would stay a member that everybody else waits for.
    this.#consumer.disconnect().catch(() => {});
    await this.#leave(memberId);
  }

  cut(): void {
    this.#isStopped = true;
    this.#home.cut();
  }

  // When kafkajs cannot join anew, for whatever other reason, it fetches on without: for ever, if the old generation is still good (the coordinator came
  // back and knows nothing of a rebalance), or, after it has lost its id, without a heartbeat.
  #checkMembership(): void {
    const silent = performance.now() - this.#lastHeartbeat;
    if (this.#mustJoin) {
      this.#end?.(new DriverError("unavailable", "the group shared out its partitions anew, and kafkajs went on without joining it"));
    } else if (silent > SESSIONS_WITHOUT_HEARTBEAT * this.#settings.sessionTimeoutMs) {
      this.#end?.(new DriverError("unavailable", `no heartbeat was answered for ${Math.round(silent / 1000)} s, and kafkajs fetched on`));
    }
  }

  #heard(): void {
    this.#lastSignOfLife = performance.now();
  }

  // Between a crash and the end kafkajs has no group and throws; nothing is fetched then that could be paused.
  #whileRunning(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (driverErrorOf(error).kind !== "unknown") throw error;
    }
  }

  async #assign(members: readonly GroupMember[]): Promise<ReadonlyMap<string, Assignment>> {
    try {
      return await this.#settings.assign(members);
    } catch (error) {
      // In a rejoin kafkajs would go on without having told the group anything, which would wait for it until its session is over.
      const failed = error instanceof DriverError ? error : new DriverError("unavailable", textOf(error), { cause: error });
      this.#end?.(failed);
      throw error;
    }
  }

  #assigner(): PartitionAssigner {
    const { MemberAssignment, MemberMetadata } = this.#home.module.AssignerProtocol;
    return () => ({
      name: ASSIGNER_NAME,
      version: ASSIGNER_VERSION,
      protocol: ({ topics }) => ({
        name: ASSIGNER_NAME,
        metadata: MemberMetadata.encode({
          version: ASSIGNER_VERSION,
          topics,
          userData: writeMemberData({ owned: this.#owned, types: this.#settings.types }),
        }),
      }),
      assign: async ({ members }) => {
        const assignments = await this.#assign(members.map((member) => memberOf(member, this.#home.module)));
        return [...assignments].map(([memberId, assignment]) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({
            version: ASSIGNER_VERSION,
            assignment: Object.fromEntries([...assignment].map(([topic, partitions]) => [topic, [...partitions]])),
            userData: Buffer.alloc(0),
          }),
        }));
      },
    });
  }
}

function byTopic(offsets: readonly CommitOffset[]): { topic: string; partitions: { partition: number; offset: string }[] }[] {
  const topics = new Map<string, { partition: number; offset: string; metadata: string }[]>();
  for (const { topic, partition, offset, metadata } of offsets) {
    const entry = { partition, offset: String(offset), metadata };
    const partitions = topics.get(topic);
    if (partitions) partitions.push(entry);
    else topics.set(topic, [entry]);
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
}

function memberOf(member: { memberId: string; memberMetadata: Buffer }, { AssignerProtocol }: KafkajsModule): GroupMember {
  const decoded = AssignerProtocol.MemberMetadata.decode(member.memberMetadata);
  return { memberId: member.memberId, topics: decoded?.topics ?? [], ...readMemberData(decoded?.userData) };
}
