import { onTestFinished } from "vitest";
import type { Delivery } from "../../../src/contracts/transport.js";
import { writeCommitMetadata } from "../../../transports/kafka/commit-metadata.js";
import type { CommittedOffset, DriverAdmin, DriverError, IncomingRecord } from "../../../transports/kafka/driver.js";
import type { CommitOffset, ConsumerHandlers, DriverConsumer } from "../../../transports/kafka/driver-consumer.js";
import { GroupReader } from "../../../transports/kafka/group-reader.js";
import type { ReaderPurpose } from "../../../transports/kafka/reader-purpose.js";
import type { ReceiverEnvironment } from "../../../transports/kafka/receiver-environment.js";
import { eventually } from "./eventually.js";

const LARGE = Buffer.alloc(100_000);

/**
 * A reader in a group that is told, step by step, what a broker and its client did: for turns of events that no broker can be made to take at will (a
 * generation that was missed, a member that is fenced before it has heard of it).
 */
export class ScriptedGroup {
  readonly reader: GroupReader;
  readonly deliveries: Delivery[] = [];
  /** What the group has committed, by `topic/partition`. */
  readonly committed = new Map<string, CommitOffset>();
  readonly commits: (readonly CommitOffset[])[] = [];
  readonly seeks: string[] = [];
  /** Of which topics nothing is fetched now. */
  readonly paused = new Set<string>();
  /** Called before each commit: what it throws is the broker's answer. */
  onCommit: (offsets: readonly CommitOffset[]) => Promise<void> | void = () => {};
  /** What the group tells of its commits is told when this resolves. */
  whenCommitted: Promise<void> | undefined;
  readonly warnings: string[] = [];
  /** Where each log begins, and ends. */
  earliest = 0;
  latest: number = Number.POSITIVE_INFINITY;
  isExhausted = false;
  #handlers: ConsumerHandlers | undefined;

  constructor(topics: readonly string[], more: Partial<ReaderPurpose> = {}) {
    const never = new AbortController().signal;
    const admin: Partial<DriverAdmin> = {
      committed: async (_, asked) => {
        if (this.whenCommitted) await this.whenCommitted;
        return asked.map((topic): CommittedOffset => this.#committedOf(topic));
      },
      offsets: async (_, at) => [{ partition: 0, offset: at === "earliest" ? this.earliest : this.latest }],
    };
    const connection = {
      driver: { consumer: () => this.#consumer() },
      admin: (call: (driver: Partial<DriverAdmin>) => unknown) => call(admin),
      isClosing: false,
      closing: never,
    };
    const quiet = (): void => {};
    const logger = { debug: quiet, info: quiet, warn: (text: string) => void this.warnings.push(text), error: quiet };
    const environment = { connection, logger, options: { sessionTimeoutMs: 10_000 } } as unknown as ReceiverEnvironment;
    const purpose: ReaderPurpose = {
      group: "shipping",
      prefetch: 10,
      topics: async () => topics.map((topic) => ({ topic, retryDelayMs: undefined, types: undefined })),
      startOf: () => "beginning",
      status: () => {},
      exhausted: () => {
        this.isExhausted = true;
      },
      home: { storeRetry: async () => {}, storeDeadLetter: async () => {}, giveBack: async () => "leave" },
      ...more,
    };
    const sink = { deliver: (delivery: Delivery) => void this.deliveries.push(delivery), exhausted: () => {} };
    this.reader = new GroupReader(environment, purpose, sink);
    this.reader.start();
    onTestFinished(() => this.reader.close(performance.now() + 1_000));
  }

  /** The member has joined, and has the first partition of these topics. */
  async join(...topics: string[]): Promise<void> {
    await eventually("a member", () => this.#handlers !== undefined);
    this.#handlers?.joined(new Map(topics.map((topic) => [topic, [0]])));
  }

  async ready(): Promise<void> {
    await eventually("all to be loaded", () => [...this.reader.partitions].every(({ isReady }) => isReady));
  }

  /** Records of these offsets were fetched of the first partition. */
  fetched(
    topic: string,
    offsets: readonly number[],
    nextOffset: number = (offsets.at(-1) ?? -1) + 1,
    fromOffset: number = offsets[0] ?? 0,
  ): void {
    const records = offsets.map(
      (offset): IncomingRecord => ({ topic, partition: 0, offset, timestamp: 0, key: null, value: Buffer.from(`${offset}`), headers: {} }),
    );
    void this.#handlers?.batch({ topic, partition: 0, broker: 1, records, fromOffset, nextOffset, endOffset: nextOffset, isStale: false });
  }

  /** Large records of these offsets were fetched, of a log that ends there. @returns what the next fetch waits for */
  fetchedLarge(topic: string, offsets: readonly number[], endOffset: number): Promise<void> | undefined {
    const records = offsets.map(
      (offset): IncomingRecord => ({ topic, partition: 0, offset, timestamp: 0, key: null, value: LARGE, headers: {} }),
    );
    const [fromOffset = 0] = offsets;
    const nextOffset = fromOffset + offsets.length;
    return this.#handlers?.batch({ topic, partition: 0, broker: 1, records, fromOffset, nextOffset, endOffset, isStale: false });
  }

  /** The broker had something else than records there. */
  passed(topic: string, from: number, to: number): void {
    this.#handlers?.passed(topic, 0, from, to);
  }

  /** The group is about to share its partitions out. */
  rebalancing(): void {
    this.#handlers?.rebalancing();
  }

  /** The member is gone, and another one will be made. */
  async end(error: DriverError): Promise<void> {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.ended(error);
    await eventually("another member", () => this.#handlers !== undefined);
  }

  /** Another member has committed so. @param starts how many members began there and died */
  committedByAnother(topic: string, offset: number, starts = 0): void {
    const metadata = writeCommitMetadata({ writer: "another", starts, alone: undefined, done: new Uint8Array(0) });
    this.committed.set(`${topic}/0`, { topic, partition: 0, offset, metadata });
  }

  /** What was handed over, as `topic@offset`, in order. */
  get handedOver(): readonly string[] {
    return this.deliveries.map(({ source }) => source.replace("/0@", "@"));
  }

  async reach(count: number): Promise<void> {
    await eventually(`${count} deliveries`, () => this.deliveries.length >= count);
  }

  #committedOf(topic: string): CommittedOffset {
    return this.committed.get(`${topic}/0`) ?? { topic, partition: 0, offset: -1, metadata: "" };
  }

  #consumer(): DriverConsumer {
    return {
      get lastSignOfLife() {
        return performance.now();
      },
      start: async (handlers) => {
        this.#handlers = handlers;
      },
      pause: (topic) => void this.paused.add(topic),
      resume: (topic) => void this.paused.delete(topic),
      seek: (topic, _, offset) => void this.seeks.push(`${topic}@${offset}`),
      commit: async (offsets) => {
        await this.onCommit(offsets);
        this.commits.push(offsets);
        for (const offset of offsets) this.committed.set(`${offset.topic}/${offset.partition}`, offset);
      },
      stop: async () => {},
      cut: () => {},
    };
  }
}
