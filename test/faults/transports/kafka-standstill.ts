import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";
import type { KafkaAdmin } from "./kafka-control.js";
import type { PartitionRuns } from "./kafka-runs.js";

const LOOK_EVERY_MS = 1_000;

/** From here on it is worth while to ask whose the partition is. */
const NOTICED_MS = 5_000;

interface Seen {
  readonly mark: string;
  readonly at: number;
}

export interface Standstill {
  readonly ms: number;
  /** Which partition, and whose it was when the watch noticed. */
  readonly partition: string;
  readonly owner: string;
}

/**
 * Watches how long partitions with something to do stand still: records wait, and neither the group's commit moves nor what it says is done beyond it, nor, where
 * it is told of `runs`, does a handler begin. What it tells is up to a second, or as long as a look takes, less than the truth, and never more.
 */
export class StandstillWatch {
  readonly #admin: KafkaAdmin;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #runs: PartitionRuns | undefined;
  readonly #seen = new Map<string, Seen>();
  /** Of each partition its longest. */
  readonly #longest = new Map<string, Standstill>();
  readonly #watching: Promise<void>;
  #isOver = false;
  #trouble: unknown;

  constructor(admin: KafkaAdmin, group: string, topics: readonly string[], runs?: PartitionRuns) {
    this.#admin = admin;
    this.#group = group;
    this.#topics = topics;
    this.#runs = runs;
    this.#watching = this.#watch();
  }

  /**
   * Ends the watch. @returns of each partition that ever had something to do its longest standstill, the longest first. @throws whatever kept it from
   * looking, but the broker
   */
  async end(): Promise<readonly Standstill[]> {
    this.#isOver = true;
    await this.#watching;
    if (this.#trouble !== undefined) throw this.#trouble;
    return [...this.#longest.values()].sort((a, b) => b.ms - a.ms);
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await Promise.all(this.#topics.map((topic) => this.#look(topic).catch((error: unknown) => this.#missed(error))));
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #look(topic: string): Promise<void> {
    const before = performance.now();
    const committed = await this.#admin.progress(this.#group, topic);
    const offsets = await this.#admin.offsets(topic);
    const runs = await this.#runs?.count(offsets.length);
    for (const { partition, high, low } of offsets) {
      const key = `${topic}/${partition}`;
      const { offset = -1, doneBeyond = "" } = committed.get(partition) ?? {};
      const isIdle = Math.max(low, offset) >= high;
      const mark = `${offset} ${doneBeyond} ${runs?.get(partition) ?? 0}`;
      const seen = this.#seen.get(key);
      if (!seen || isIdle || seen.mark !== mark) this.#seen.set(key, { mark, at: performance.now() });
      if (!isIdle) await this.#note(key, topic, partition, seen?.mark === mark ? before - seen.at : 0);
    }
  }

  #missed(error: unknown): void {
    // What the broker does not answer now it answers the next time.
    if (!(error instanceof kafkajs.KafkaJSError)) this.#trouble ??= error;
  }

  async #note(key: string, topic: string, partition: number, ms: number): Promise<void> {
    const longest = this.#longest.get(key);
    if (longest && longest.ms >= ms) return;
    const owner = ms < NOTICED_MS ? "nobody" : await this.#admin.ownerOf(this.#group, topic, partition);
    this.#longest.set(key, { ms, partition: `${key} of ${this.#group}`, owner });
  }
}
