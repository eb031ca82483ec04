import type { Logger } from "../../src/contracts/logger.js";
import { delay } from "../../src/util/delay.js";
import type { AssignedPartition } from "./assigned-partition.js";
import { readCommitMetadata } from "./commit-metadata.js";
import type { KafkaConnection } from "./connection.js";
import { DriverError, type PartitionOffset } from "./driver.js";
import type { DriverConsumer, RecordBatch } from "./driver-consumer.js";
import { textOf } from "./errors.js";
import type { PartitionSet } from "./partition-set.js";

/** What cannot be known, or be believed, is asked again after this: a broker that led the partition once may say for a moment where its log ended then. */
const ASK_AGAIN_MS = 1_000;

/**
 * Goes back to what comes next of a partition, of which something else was fetched. A client may stand anywhere: by a seek of an earlier assignment, by a batch of
 * another generation that it took for done, by the late answer of a broker that led the partition once, or since what it asked for is not in the log any more. Only
 * the last is nothing to go back to, and the brokers know it.
 */
export class SkippedOffsets {
  readonly #connection: KafkaConnection;
  readonly #partitions: PartitionSet;
  readonly #getMember: () => DriverConsumer | undefined;
  readonly #prefetch: number;
  readonly #logger: Logger;
  readonly #looking = new WeakSet<AssignedPartition>();

  /** @param prefetch how many records are held at most */
  constructor(
    connection: KafkaConnection,
    partitions: PartitionSet,
    getMember: () => DriverConsumer | undefined,
    prefetch: number,
    logger: Logger,
  ) {
    this.#connection = connection;
    this.#partitions = partitions;
    this.#getMember = getMember;
    this.#prefetch = prefetch;
    this.#logger = logger;
  }

  /** Has the partition, of which something else than what comes next was fetched, fetched from there. */
  goBack(partition: AssignedPartition, batch: RecordBatch): void {
    if (this.#looking.has(partition)) return;
    this.#looking.add(partition);
    void this.#goBack(partition, batch.fromOffset, partition.isBelow(batch)).finally(() => this.#looking.delete(partition));
  }

  /** Has it fetched from where it was fetched up to, wherever the client stands. */
  refetch({ topic, partition, fetched }: AssignedPartition): void {
    this.#getMember()?.seek(topic, partition, fetched);
  }

  async #goBack(partition: AssignedPartition, from: number, isBelow: boolean): Promise<void> {
    const name = `${partition.topic}/${partition.partition}`;
    const { fetched } = partition;
    this.#logger.debug(`Of ${name} something else than ${fetched} was fetched, which comes next: it is fetched from there.`);
    let current = partition;
    try {
      let [start, end] = await this.#boundsOf(partition);
      // What was asked for from the beginning of the log on was asked for since what came next was not there: only a log of less records has no such offset.
      const hadToBegin = isBelow && from <= start;
      if (end < fetched && !hadToBegin) {
        await delay(ASK_AGAIN_MS, this.#connection.closing);
        [start, end] = await this.#boundsOf(partition);
      }
      if (partition.isLost) return;
      if (end < fetched || hadToBegin) {
        current = this.#beginAnew(partition, start);
      } else if (start > partition.fetched) {
        this.#logger.warn(
          `The log of ${name} begins at ${start}: what it had from ${fetched} on was deleted before it was read, by its retention or by hand.`,
        );
        this.#partitions.passed(partition.topic, partition.partition, partition.fetched, start);
      }
    } catch (error) {
      this.#logger.debug(`Where the log of ${name} begins and ends cannot be read: ${textOf(error)}`);
      await delay(ASK_AGAIN_MS, this.#connection.closing);
      // What was fetched is fetched, and looked at, again: of another log nothing would tell where this one is read on.
      if (isBelow && !partition.isLost) return this.#getMember()?.seek(partition.topic, partition.partition, from);
    }
    if (!current.isLost) this.refetch(current);
  }

  #beginAnew(partition: AssignedPartition, start: number): AssignedPartition {
    this.#logger.warn(
      `The log of ${partition.topic}/${partition.partition} begins anew, before what was fetched: the topic was made again, or lost its end.`,
    );
    const anew = this.#partitions.replace(partition, true);
    anew.load(start, readCommitMetadata(""), this.#prefetch);
    this.#getMember()?.resume(anew.topic, anew.partition);
    return anew;
  }

  /** The first offset of the log, and the one after its last. */
  async #boundsOf({ topic, partition }: AssignedPartition): Promise<readonly [number, number]> {
    const [starts, ends] = await this.#connection.admin((admin) =>
      Promise.all([admin.offsets(topic, "earliest"), admin.offsets(topic, "latest")]),
    );
    return [offsetOf(partition, starts), offsetOf(partition, ends)];
  }
}

/** @throws DriverError when nothing is known of the partition at this moment */
function offsetOf(partition: number, offsets: readonly PartitionOffset[]): number {
  const found = offsets.find((each) => each.partition === partition);
  if (!found) throw new DriverError("unavailable", `nothing is known of partition ${partition}`);
  return found.offset;
}
