import type { AssignedPartition } from "./assigned-partition.js";
import { DriverError, type PartitionOffset } from "./driver.js";
import { textOf } from "./errors.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

/** Deletes what is done of the topics of copies (retries, dead letters): their retention has no end. */
export class CopyRemover {
  readonly #environment: ReceiverEnvironment;
  /** By `topic/partition`: what lies before it was deleted by us. */
  readonly #deletedBefore = new Map<string, number>();
  /** The topics of which it was told that they may not be deleted from. */
  readonly #refused = new Set<string>();

  constructor(environment: ReceiverEnvironment) {
    this.#environment = environment;
  }

  /** What lies behind the commit, of those of which it is known. Does not reject. */
  async removeDone(partitions: Iterable<AssignedPartition>): Promise<void> {
    const byTopic = new Map<string, PartitionOffset[]>();
    for (const { topic, partition, committedOffset, isReady } of partitions) {
      if (!isReady || committedOffset <= (this.#deletedBefore.get(`${topic}/${partition}`) ?? 0)) continue;
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), { partition, offset: committedOffset }]);
    }
    for (const [topic, before] of byTopic) await this.#delete(topic, before);
  }

  async #delete(topic: string, before: readonly PartitionOffset[]): Promise<void> {
    try {
      await this.#environment.connection.admin((admin) => admin.deleteRecords(topic, before));
      for (const { partition, offset } of before) this.#deletedBefore.set(`${topic}/${partition}`, offset);
      this.#refused.delete(topic);
    } catch (error) {
      const { logger } = this.#environment;
      const isRefused = error instanceof DriverError && error.kind === "forbidden";
      if (!isRefused) logger.debug(`What is done of "${topic}" cannot be deleted: ${textOf(error)}. It is tried again.`);
      else if (!this.#refused.has(topic)) {
        this.#refused.add(topic);
        logger.warn(
          `What is done of "${topic}" may not be deleted: the topic grows without end, and all of it comes again should Kafka forget what the group has committed (offsets.retention.minutes). Grant DELETE on the topic (ACL).`,
        );
      }
    }
  }
}
