import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import type { AssignedPartition } from "./assigned-partition.js";
import { DriverError } from "./driver.js";
import type { CommitOffset, DriverConsumer } from "./driver-consumer.js";
import { textOf } from "./errors.js";

/** What is settled is committed at the latest after this. */
const COMMIT_EVERY_MS = 100;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;

interface Snapshot {
  readonly partition: AssignedPartition;
  readonly offset: CommitOffset;
  readonly version: number;
  readonly settledCount: number;
}

/** What the committer asks of its reader. */
export interface CommitOwner {
  /** The member of the group, while it is joined. */
  getMember(): DriverConsumer | undefined;
  /** As many of the partition as were settled by then are committed. */
  committed(partition: AssignedPartition, settledCount: number): void;
  /** After all that one commit committed. */
  settled(): void;
  /** The group goes on without this member, which may not have heard of it: what it has may be somebody else's already. */
  fenced(): void;
}

/** Commits what changed, all partitions in one request, one request at a time. */
export class OffsetCommitter {
  readonly #owner: CommitOwner;
  readonly #writer: string;
  readonly #group: string;
  readonly #logger: Logger;
  readonly #changed = new Set<AssignedPartition>();
  readonly #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isSoon = false;
  #isBusy = false;
  #failures = 0;
  #joins = 0;
  #isClosed = false;
  /** The brokers take less beside an offset than what is done beyond it needs. */
  #isShort = false;

  /** @param writer the name under which this receiver commits */
  constructor(owner: CommitOwner, group: string, writer: string, logger: Logger) {
    this.#owner = owner;
    this.#group = group;
    this.#writer = writer;
    this.#logger = logger;
  }

  /** Something of the partition changed: it is committed within {@link COMMIT_EVERY_MS}. */
  later(partition: AssignedPartition): void {
    this.#changed.add(partition);
    if (!this.#timer && !this.#isSoon && !this.#isBusy) this.#arm(COMMIT_EVERY_MS);
  }

  /** Whether something is to be committed, or on its way. */
  get isBehind(): boolean {
    return this.#isBusy || this.#changed.size > 0;
  }

  /** Whether something is to be committed of a partition of which it is not known yet where it goes on. */
  get isHeldUp(): boolean {
    return [...this.#changed].some(({ isReady }) => !isReady);
  }

  /** At the end of this turn of the event loop, or after the commit that is on its way. */
  soon(partition: AssignedPartition): void {
    this.#changed.add(partition);
    if (this.#isSoon) return;
    this.#isSoon = true;
    if (this.#isBusy) return;
    if (this.#failures === 0) setImmediate(this.#run);
    // After a failure it is tried again by the timer, which is gone when there was nobody to commit, or nothing left to.
    else if (!this.#timer) this.#armAfterFailure();
  }

  /** The member has joined: what could not be committed meanwhile can be now. */
  resume(): void {
    this.#joins++;
    this.#failures = 0;
    if (this.#changed.size > 0) this.#arm(1);
  }

  /** Resolves when all that has changed is committed, or the next time that this fails. */
  async flush(): Promise<void> {
    if (this.#changed.size === 0 && !this.#isBusy) return;
    const told = new Promise<void>((resolve) => this.#waiting.push(resolve));
    for (const partition of this.#changed) this.soon(partition);
    if (this.#isBusy) this.#isSoon = true;
    await told;
  }

  /**
   * Commits what may belong to somebody else in a moment, with the starts of this member taken back, since it lives. The request is sent within the
   * call. Does not reject. @returns whether it was committed
   */
  async handOver(partitions: Iterable<AssignedPartition>): Promise<boolean> {
    const member = this.#owner.getMember();
    if (!member) return false;
    const snapshots = [...partitions]
      .filter((partition) => partition.phase === "reading" || partition.isBegun)
      .map((partition) => this.#snapshot(partition, true));
    if (snapshots.length === 0) return true;
    try {
      await member.commit(snapshots.map(({ offset }) => offset));
      // With its start taken back nothing that was begun may be read.
      this.#settle(snapshots.filter(({ partition }) => !partition.isBegun));
      // The starts that were taken back are told again if the partition stays.
      for (const { partition } of snapshots) partition.version++;
      return true;
    } catch (error) {
      this.#logger.debug(
        `What the group "${this.#group}" has done could not be committed before its partitions are shared out: ${textOf(error)}`,
      );
      return false;
    }
  }

  forget(partition: AssignedPartition): void {
    this.#changed.delete(partition);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const tell of this.#waiting.splice(0)) tell();
  }

  readonly #run = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isSoon = false;
    if (!this.#isBusy && !this.#isClosed) void this.#commit();
  };

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#run, ms);
  }

  #armAfterFailure(): void {
    this.#arm(backoffWithHalfJitter(this.#failures, FIRST_WAIT_MS, LONGEST_WAIT_MS));
  }

  async #commit(): Promise<void> {
    const member = this.#owner.getMember();
    if (!member) return this.#tellWaiting();
    const snapshots: Snapshot[] = [];
    for (const partition of this.#changed) {
      // It may stay with this member: then it is committed when that is known.
      if (!partition.isReady) continue;
      this.#changed.delete(partition);
      if (partition.version !== partition.committedVersion) snapshots.push(this.#snapshot(partition, false));
    }
    if (snapshots.length === 0) {
      this.#failures = 0;
      return this.#tellWaiting();
    }
    this.#isBusy = true;
    const joins = this.#joins;
    try {
      await this.#send(member, snapshots, joins);
      this.#failures = 0;
    } catch (error) {
      if (error instanceof DriverError && error.kind === "fenced" && joins === this.#joins) this.#owner.fenced();
      for (const { partition } of snapshots) if (!partition.isLost) this.#changed.add(partition);
      this.#failures++;
      if (error instanceof DriverError && error.kind === "too-large") this.#shorten();
      this.#logger.debug(`Committing for the group "${this.#group}" failed: ${textOf(error)}`);
    }
    this.#isBusy = false;
    this.#next();
  }

  #shorten(): void {
    if (this.#isShort) return;
    this.#isShort = true;
    this.#logger.warn(
      `The brokers take less beside an offset than 4,096 bytes (offset.metadata.max.bytes): what the group "${this.#group}" has done behind something slow is not kept, and all of it is handled again by whoever gets a partition next.`,
    );
  }

  #next(): void {
    if (this.#isClosed) return;
    if (this.#failures > 0) {
      this.#tellWaiting();
      this.#isSoon = false;
      this.#armAfterFailure();
    } else if (this.#isSoon) {
      this.#run();
    } else {
      this.#tellWaiting();
      if (this.#changed.size > 0) this.#arm(COMMIT_EVERY_MS);
    }
  }

  async #send(member: DriverConsumer, snapshots: readonly Snapshot[], joins: number): Promise<void> {
    try {
      await member.commit(snapshots.map(({ offset }) => offset));
      this.#settle(snapshots);
    } catch (error) {
      const topics = new Set(snapshots.map(({ partition }) => partition.topic));
      if (!isNoTopic(error) || topics.size === 1) throw error;
      // One of the topics was deleted; what was done of the others must not suffer for it.
      for (const topic of topics) {
        // What was assigned anew meanwhile may be another member's.
        if (joins !== this.#joins) throw error;
        const ofTopic = snapshots.filter(({ partition }) => partition.topic === topic && !partition.isLost);
        if (ofTopic.length === 0) continue;
        try {
          await member.commit(ofTopic.map(({ offset }) => offset));
          this.#settle(ofTopic);
        } catch (cause) {
          if (!isNoTopic(cause)) throw cause;
          this.#logger.debug(`Nothing can be committed of "${topic}": ${textOf(cause)}`);
        }
      }
    }
  }

  #snapshot(partition: AssignedPartition, isHandOver: boolean): Snapshot {
    const { topic, low, version, settledCount } = partition;
    const metadata = partition.metadata(this.#writer, isHandOver, this.#isShort);
    return { partition, version, settledCount, offset: { topic, partition: partition.partition, offset: low, metadata } };
  }

  #settle(snapshots: readonly Snapshot[]): void {
    for (const { partition, offset, version, settledCount } of snapshots) {
      if (partition.isLost) continue;
      partition.committed(offset.offset, version);
      this.#owner.committed(partition, settledCount);
    }
    this.#owner.settled();
  }

  #tellWaiting(): void {
    for (const tell of this.#waiting.splice(0)) tell();
  }
}

function isNoTopic(error: unknown): boolean {
  return error instanceof DriverError && error.kind === "no-topic";
}
