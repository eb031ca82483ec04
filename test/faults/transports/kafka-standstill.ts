import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaAdmin } from "./kafka-control.js";

const LOOK_EVERY_MS = 1_000;

interface Seen {
  readonly committed: number;
  readonly at: number;
}

interface Standstill {
  readonly ms: number;
  /** Which partition, and whose it was when the watch noticed. */
  readonly partition: string;
  readonly owner: string;
}

/** From here on it is worth while to ask whose the partition is. */
const NOTICED_MS = 5_000;

/** Watches how long partitions with something to do stand still: no commit of the group moves, though records wait. */
export class StandstillWatch {
  readonly #admin: KafkaAdmin;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #seen = new Map<string, Seen>();
  readonly #watching: Promise<void>;
  #isOver = false;
  #longest: Standstill = { ms: 0, partition: "", owner: "nobody" };

  constructor(admin: KafkaAdmin, group: string, topics: readonly string[]) {
    this.#admin = admin;
    this.#group = group;
    this.#topics = topics;
    this.#watching = this.#watch();
  }

  /** Ends the watch. */
  async end(): Promise<Standstill> {
    this.#isOver = true;
    await this.#watching;
    return this.#longest;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      // What the broker does not answer now it answers the next time.
      await Promise.all(this.#topics.map((topic) => this.#look(topic).catch(() => {})));
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #look(topic: string): Promise<void> {
    const committed = await this.#admin.committed(this.#group, topic);
    const now = performance.now();
    for (const { partition, high, low } of await this.#admin.offsets(topic)) {
      const key = `${topic}/${partition}`;
      const offset = Math.max(low, committed.get(partition) ?? -1);
      const before = this.#seen.get(key);
      if (!before || before.committed !== offset || offset >= high) this.#seen.set(key, { committed: offset, at: now });
      else if (now - before.at > this.#longest.ms) {
        const ms = now - before.at;
        const owner = ms < NOTICED_MS ? "nobody" : await this.#admin.ownerOf(this.#group, topic, partition);
        this.#longest = { ms, partition: key, owner };
      }
    }
  }
}
