import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { AssignedPartition } from "./assigned-partition.js";
import type { KafkaConnection } from "./connection.js";
import type { CommittedOffset } from "./driver.js";
import type { DriverConsumer } from "./driver-consumer.js";
import { textOf } from "./errors.js";
import type { BeginPosition } from "./reader-purpose.js";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

/** What the loader asks of its reader. */
export interface LoadOwner {
  /** The member of the group, while it is joined. */
  getMember(): DriverConsumer | undefined;
  /** Where a topic begins of which the group has committed nothing. */
  startOf(topic: string): BeginPosition;
  /** What the group committed of the partition; without an offset, where it begins. The member may fetch from elsewhere. */
  loaded(partition: AssignedPartition, committed: CommittedOffset): void;
}

/**
 * Finds out where the partitions that were assigned go on. Of a topic without any committed offset the member that has its first partition
 * commits where all of them begin, so that there is one beginning, and nobody takes it for a topic that grew: a partition without an offset among others that
 * have one is new, or its offset expired, and is read from its first record.
 */
export class PartitionLoader {
  readonly #connection: KafkaConnection;
  readonly #group: string;
  readonly #owner: LoadOwner;
  readonly #logger: Logger;
  /** The topics that the group has begun: one that is without offsets again was deleted and made anew, and all that it has is news. */
  readonly #begun = new Set<string>();

  constructor(connection: KafkaConnection, group: string, owner: LoadOwner, logger: Logger) {
    this.#connection = connection;
    this.#group = group;
    this.#owner = owner;
    this.#logger = logger;
  }

  /** Loads what is assigned, however long it takes; gives up on what is lost meanwhile. Does not reject. */
  async load(partitions: readonly AssignedPartition[], isWanted: (partition: AssignedPartition) => boolean): Promise<void> {
    let left = partitions;
    for (let attempt = 0; left.length > 0 && !this.#connection.isClosing; attempt++) {
      try {
        await this.#try(left, isWanted);
      } catch (error) {
        this.#logger.debug(`What the group "${this.#group}" committed cannot be read: ${textOf(error)}`);
      }
      left = left.filter(isWanted);
      if (left.length > 0) await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#connection.closing);
    }
  }

  /** Whether the group has a beginning in each of these topics, so that whatever is published from now on is its own. Does not reject. */
  async haveBegun(topics: readonly string[]): Promise<boolean> {
    const asked = topics.filter((topic) => this.#startOf(topic) !== "beginning");
    if (asked.length === 0) return true;
    try {
      const committed = await this.#connection.admin((admin) => admin.committed(this.#group, asked));
      for (const offset of committed) if (isCommitted(offset)) this.#begun.add(offset.topic);
      return asked.every((topic) => this.#begun.has(topic));
    } catch (error) {
      this.#logger.debug(`What the group "${this.#group}" committed cannot be read: ${textOf(error)}`);
      return false;
    }
  }

  #startOf(topic: string): BeginPosition {
    return this.#begun.has(topic) ? "beginning" : this.#owner.startOf(topic);
  }

  async #try(partitions: readonly AssignedPartition[], isWanted: (partition: AssignedPartition) => boolean): Promise<void> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))];
    const committed = await this.#connection.admin((admin) => admin.committed(this.#group, topics));
    for (const topic of topics) {
      const ofTopic = committed.filter((offset) => offset.topic === topic);
      const mine = partitions.filter((partition) => partition.topic === topic);
      const hasBegun = ofTopic.some(isCommitted);
      if (hasBegun) this.#begun.add(topic);
      if (hasBegun) await this.#goOn(topic, mine, ofTopic, isWanted);
      else if (this.#startOf(topic) === "beginning") await this.#goOn(topic, mine, [], isWanted);
      else if (mine.some(({ partition }) => partition === 0)) await this.#begin(topic, mine, isWanted);
    }
  }

  async #goOn(
    topic: string,
    mine: readonly AssignedPartition[],
    committed: readonly CommittedOffset[],
    isWanted: (partition: AssignedPartition) => boolean,
  ): Promise<void> {
    const found = new Map(committed.filter(({ offset }) => offset >= 0).map((offset) => [offset.partition, offset]));
    const isAllFound = mine.every(({ partition }) => found.has(partition));
    const earliest = isAllFound ? [] : await this.#connection.admin((admin) => admin.offsets(topic, "earliest"));
    for (const { partition, offset } of earliest) {
      if (!found.has(partition)) found.set(partition, { topic, partition, offset, metadata: "" });
    }
    for (const partition of mine) {
      const offset = found.get(partition.partition);
      if (offset && isWanted(partition)) this.#owner.loaded(partition, offset);
    }
  }

  async #begin(topic: string, mine: readonly AssignedPartition[], isWanted: (partition: AssignedPartition) => boolean): Promise<void> {
    const start = this.#startOf(topic);
    const at = typeof start === "object" ? start : start === "now" ? "latest" : "earliest";
    const offsets = await this.#connection.admin((admin) => admin.offsets(topic, at));
    const isMine = mine.some((partition) => partition.partition === 0 && isWanted(partition));
    const member = this.#owner.getMember();
    if (!isMine || !member) return;
    const first = offsets.map(({ partition, offset }) => ({ topic, partition, offset, metadata: "" }));
    await member.commit(first);
    this.#begun.add(topic);
    await this.#goOn(topic, mine, first, isWanted);
  }
}

/** Also where it is -2, "the earliest": kafkajs commits that when what was committed is not in the log any more. */
function isCommitted({ offset }: CommittedOffset): boolean {
  return offset !== -1;
}
