import type { Logger } from "../../src/contracts/logger.js";
import { delay } from "../../src/util/delay.js";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import { settledBy } from "../../src/util/time-limit.js";
import type { AssignedPartition } from "./assigned-partition.js";
import type { IncomingRecord } from "./driver.js";
import type { OffsetCommitter } from "./offset-committer.js";
import type { RecordPump } from "./record-pump.js";
import { CRASHED_FROM } from "./start-counts.js";

/** So long suspects are run one after the other before everything else has its turn again, for as long. */
const SLICE_MS = 15_000;
const LOOK_AGAIN_MS = 50;

/** What became of a run alone. "survived": it failed, and the record is kept to be run again. "gone": it did not end here. */
type Outcome = "settled" | "survived" | "gone";

/** The record that runs alone now. */
interface Alone {
  readonly record: IncomingRecord;
  readonly end: (outcome: Outcome) => void;
}

/**
 * Runs the records of partitions that were begun in vain, one at a time, while the endpoint holds nothing else: each beginning is committed before the
 * run, so that a record that kills the process is found by its own count, and its neighbours are not blamed. What is held already when suspects are met is waited
 * for, but not for ever: the core runs a suspect alone in any case.
 */
export class CarefulRuns {
  readonly #pump: RecordPump;
  readonly #committer: OffsetCommitter;
  readonly #partitions: () => Iterable<AssignedPartition>;
  readonly #stopping: AbortSignal;
  readonly #logger: Logger;
  #isRunning = false;
  #notBefore = 0;
  #alone: Alone | undefined;
  /** The record of a partition that has survived and waits to be run again; what follows may have to wait for it, and is left alone until it is done. */
  readonly #survivors = new WeakMap<AssignedPartition, IncomingRecord>();

  constructor(
    pump: RecordPump,
    committer: OffsetCommitter,
    partitions: () => Iterable<AssignedPartition>,
    stopping: AbortSignal,
    logger: Logger,
  ) {
    this.#pump = pump;
    this.#committer = committer;
    this.#partitions = partitions;
    this.#stopping = stopping;
    this.#logger = logger;
  }

  /** Records of such a partition wait. */
  request(partition: AssignedPartition): void {
    if (this.#isRunning || this.#stopping.aborted || this.#mustWait(partition)) return;
    this.#isRunning = true;
    void this.#run().finally(() => {
      this.#isRunning = false;
      this.#pump.run();
    });
  }

  /** Told of every record: what came of one that may run alone. */
  ended(record: IncomingRecord, outcome: Outcome): void {
    if (this.#alone?.record === record) this.#alone.end(outcome);
  }

  async #run(): Promise<void> {
    await delay(this.#notBefore - performance.now(), this.#stopping);
    const begun = performance.now();
    this.#pump.isHeld = true;
    try {
      await settledBy(begun + SLICE_MS, this.#pump.whenIdle());
      if (!(await suspectTurn.take(SLICE_MS, this.#stopping))) return;
      try {
        await this.#runSlice();
      } finally {
        suspectTurn.give();
      }
    } finally {
      this.#pump.isHeld = false;
      const now = performance.now();
      this.#notBefore = now + (this.#hasOthers() ? now - begun : 0);
    }
  }

  async #runSlice(): Promise<void> {
    const until = performance.now() + SLICE_MS;
    for (let isMore = true; isMore && performance.now() < until; ) {
      isMore = false;
      for (const partition of [...this.#partitions()]) {
        if (this.#stopping.aborted) return;
        const isDue = partition.phase === "reading" && partition.counts.isCareful && !this.#mustWait(partition);
        if (isDue && (await this.#runNext(partition))) isMore = true;
      }
    }
  }

  /** @returns whether there was one */
  async #runNext(partition: AssignedPartition): Promise<boolean> {
    const { counts } = partition;
    const record = this.#pump.isOpen ? this.#pump.next(partition) : undefined;
    if (!record) return false;
    const isCrashed = counts.runsOf(record.offset) >= CRASHED_FROM;
    if (isCrashed) {
      this.#logger.error(
        `The record ${partition.topic}/${partition.partition}@${record.offset} was run alone ${CRASHED_FROM} times, and the process died each time: it is dead-lettered.`,
      );
    } else {
      counts.beginAlone(record.offset);
      partition.version++;
      if (!(await this.#isCommitted(partition))) {
        counts.cancelAlone();
        return false;
      }
    }
    const outcome = await this.#handAlone(record, partition, isCrashed ? "crashed" : "careful");
    // One that was given back at a stop has not ended: what is committed then takes its beginning back.
    if (partition.isLost || outcome === "gone") return false;
    if (outcome === "survived") this.#survivors.set(partition, record);
    counts.endAlone();
    if (partition.isThrough) counts.endCareful();
    partition.version++;
    await this.#isCommitted(partition);
    return outcome === "settled";
  }

  #handAlone(record: IncomingRecord, partition: AssignedPartition, suspicion: "careful" | "crashed"): Promise<Outcome> {
    return new Promise((resolve) => {
      const loss = new AbortController();
      const end = (outcome: Outcome): void => {
        this.#alone = undefined;
        partition.forgetLoss(loss);
        resolve(outcome);
      };
      loss.signal.addEventListener("abort", () => end("gone"), { once: true });
      partition.tellLoss(loss);
      this.#alone = { record, end };
      this.#pump.hand(record, partition, suspicion);
    });
  }

  #mustWait(partition: AssignedPartition): boolean {
    const survivor = this.#survivors.get(partition);
    return survivor !== undefined && !partition.wasDone(survivor);
  }

  /** Commits what the partition says now. `false`: the partition is lost, or we stop. */
  async #isCommitted(partition: AssignedPartition): Promise<boolean> {
    while (!partition.isLost && !this.#stopping.aborted) {
      if (partition.committedVersion === partition.version && this.#pump.isOpen) return true;
      this.#committer.later(partition);
      await this.#committer.flush();
      if (partition.committedVersion !== partition.version) await delay(LOOK_AGAIN_MS, this.#stopping);
    }
    return false;
  }

  #hasOthers(): boolean {
    for (const partition of this.#partitions()) {
      if (partition.waitingRecords > 0 && !partition.counts.isCareful) return true;
    }
    return false;
  }
}
