import type { Logger } from "../../src/contracts/logger.js";
import type { AssignedPartition } from "./assigned-partition.js";
import type { KafkaConnection } from "./connection.js";
import type { DriverConsumer } from "./driver-consumer.js";
import { textOf } from "./errors.js";
import type { PartitionSet } from "./partition-set.js";

/**
 * Goes back to what was not fetched of a partition. A client may stand anywhere: by a seek of an earlier assignment, by a batch of another generation that it
 * took for done, or since what it asked for is not in the log any more. Only the last is nothing to go back to, and the brokers know it.
 */
export class SkippedOffsets {
  readonly #connection: KafkaConnection;
  readonly #partitions: PartitionSet;
  readonly #getMember: () => DriverConsumer | undefined;
  readonly #logger: Logger;
  readonly #looking = new WeakSet<AssignedPartition>();

  constructor(connection: KafkaConnection, partitions: PartitionSet, getMember: () => DriverConsumer | undefined, logger: Logger) {
    this.#connection = connection;
    this.#partitions = partitions;
    this.#getMember = getMember;
    this.#logger = logger;
  }

  /** Has the partition, of which something else than what follows was fetched, fetched without a gap. */
  goBack(partition: AssignedPartition): void {
    if (this.#looking.has(partition)) return;
    this.#looking.add(partition);
    void this.#goBack(partition).finally(() => this.#looking.delete(partition));
  }

  /** Has it fetched from where it was fetched up to, wherever the client stands. */
  refetch({ topic, partition, fetched }: AssignedPartition): void {
    this.#getMember()?.seek(topic, partition, fetched);
  }

  async #goBack(partition: AssignedPartition): Promise<void> {
    const { topic, fetched } = partition;
    this.#logger.debug(
      `Of ${topic}/${partition.partition} something behind ${fetched} was fetched, which comes next: it is fetched from there.`,
    );
    try {
      const starts = await this.#connection.admin((admin) => admin.offsets(topic, "earliest"));
      const start = starts.find((each) => each.partition === partition.partition)?.offset ?? 0;
      if (partition.isLost) return;
      if (start > partition.fetched) {
        this.#logger.warn(
          `The log of ${topic}/${partition.partition} begins at ${start}: what it had from ${fetched} on was deleted before it was read, by its retention or by hand.`,
        );
        this.#partitions.passed(topic, partition.partition, partition.fetched, start);
      }
    } catch (error) {
      // Sought all the same: what comes next is looked at again.
      this.#logger.debug(`Where the log of ${topic}/${partition.partition} begins cannot be read: ${textOf(error)}`);
    }
    if (!partition.isLost) this.refetch(partition);
  }
}
