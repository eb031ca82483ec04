import { AssignedPartition } from "./assigned-partition.js";
import type { Assignment } from "./assigner.js";
import type { CommitMetadata } from "./commit-metadata.js";
import type { OffsetCommitter } from "./offset-committer.js";
import type { RecordPump } from "./record-pump.js";
import { Survivals } from "./start-counts.js";

/** The partitions that a reader has. */
export class PartitionSet {
  /** What of the partitions that went this process lived through. */
  readonly #survivals: Survivals = new Survivals();
  readonly #partitions = new Map<string, AssignedPartition>();
  readonly #pump: RecordPump;
  readonly #committer: OffsetCommitter;

  constructor(pump: RecordPump, committer: OffsetCommitter) {
    this.#pump = pump;
    this.#committer = committer;
  }

  [Symbol.iterator](): Iterator<AssignedPartition> {
    return this.#partitions.values();
  }

  /** Whether it is known of each where it goes on. */
  get areReady(): boolean {
    return [...this].every(({ isReady }) => isReady);
  }

  get(topic: string, partition: number): AssignedPartition | undefined {
    return this.#partitions.get(keyOf(topic, partition));
  }

  add(partition: AssignedPartition): AssignedPartition {
    this.#partitions.set(keyOf(partition.topic, partition.partition), partition);
    this.#pump.add(partition);
    return partition;
  }

  /** @param offset what the group committed @param found and what stands beside it @param atRisk how many records are held at most */
  load(partition: AssignedPartition, offset: number, found: CommitMetadata, atRisk: number): void {
    partition.load(offset, this.#survivals.less(keyOf(partition.topic, partition.partition), found), atRisk);
  }

  /** It is lost, and assigned again. @param isHandedOver as for {@link lose} */
  replace(partition: AssignedPartition, isHandedOver: boolean): AssignedPartition {
    this.lose([partition], isHandedOver);
    return this.add(new AssignedPartition(partition.role, partition.partition));
  }

  /** It stays with this member, if nobody else had it meanwhile. */
  suspend(partition: AssignedPartition): void {
    // What was not read is begun again.
    if (!partition.hasRead) this.#survivals.note(keyOf(partition.topic, partition.partition), partition.counts);
    partition.expectRefetch();
    partition.suspend();
  }

  /**
   * Another member will take its place. Of what was not read nothing is kept: under the same name there may be another log then, of which nothing
   * may be passed over for what was fetched of this one.
   */
  memberEnded(): void {
    this.lose(
      [...this].filter(({ hasRead }) => !hasRead),
      false,
    );
    for (const partition of this) partition.isPaused = false;
  }

  /** Nothing of the partition from the first of these offsets up to the second is a record. */
  passed(topic: string, partition: number, from: number, to: number): void {
    const passing = this.get(topic, partition);
    if (!passing) return;
    passing.passed(from, to);
    this.#pump.run();
    this.#committer.later(passing);
  }

  /** Whether of each nothing is left to hand over before its end. */
  haveReached(endOf: (topic: string, partition: number) => number): boolean {
    return [...this].every(({ isReady, reached, topic, partition }) => isReady && reached >= endOf(topic, partition));
  }

  /** Those that are not in the assignment. */
  notIn(assignment: Assignment): readonly AssignedPartition[] {
    return [...this].filter(({ topic, partition }) => !assignment.get(topic)?.includes(partition));
  }

  /** They are somebody else's now. @param isHandedOver what they said last is committed, and they were taken back as begun */
  lose(partitions: readonly AssignedPartition[], isHandedOver: boolean): void {
    for (const partition of partitions) {
      const key = keyOf(partition.topic, partition.partition);
      if (!isHandedOver) this.#survivals.note(key, partition.counts);
      if (this.#partitions.get(key) === partition) this.#partitions.delete(key);
      this.#committer.forget(partition);
      partition.lose();
      this.#pump.remove(partition);
    }
    // When all know it: one that hears of it may settle others.
    for (const partition of partitions) partition.announceLoss();
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
