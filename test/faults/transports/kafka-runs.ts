import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Partitioners, type PartitionMetadata } from "kafkajs";
import type { LedgerEvent } from "../ledger-event.js";

/** Counts the handlers that began on messages of each partition of an endpoint's one topic, as the services write it in their ledgers. */
export class PartitionRuns {
  readonly #folder: string;
  readonly #endpoint: string;
  readonly #topic: string;
  readonly #partitioner = Partitioners.DefaultPartitioner();
  /** Up to where each ledger was read. */
  readonly #read = new Map<string, number>();
  readonly #byKey = new Map<string, number>();

  constructor(folder: string, endpoint: string, topic: string) {
    this.#folder = folder;
    this.#endpoint = endpoint;
    this.#topic = topic;
  }

  /** @returns so many in each partition until now, of the topic with so many partitions */
  async count(partitions: number): Promise<ReadonlyMap<number, number>> {
    for (const name of await readdir(this.#folder)) if (name.endsWith(".jsonl")) await this.#readOn(join(this.#folder, name));
    const counts = new Map<number, number>();
    for (const [key, count] of this.#byKey) {
      const partition = this.#partitionOf(key, partitions);
      counts.set(partition, (counts.get(partition) ?? 0) + count);
    }
    return counts;
  }

  async #readOn(path: string): Promise<void> {
    const from = this.#read.get(path) ?? 0;
    const { size } = await stat(path);
    if (size <= from) return;
    const file = await open(path);
    try {
      const bytes = Buffer.alloc(size - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      // The last line may be half written.
      const end = bytes.subarray(0, bytesRead).lastIndexOf("\n") + 1;
      this.#read.set(path, from + end);
      for (const line of bytes.toString("utf8", 0, end).split("\n")) if (line.includes('"started"')) this.#note(JSON.parse(line));
    } finally {
      await file.close();
    }
  }

  #note(event: LedgerEvent): void {
    if (event.event !== "started" || event.endpoint !== this.#endpoint || event.key === undefined) return;
    this.#byKey.set(event.key, (this.#byKey.get(event.key) ?? 0) + 1);
  }

  #partitionOf(key: string, partitions: number): number {
    // Of the partitions it asks for no more than how many there are.
    const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId })) as unknown as PartitionMetadata[];
    return this.#partitioner({ topic: this.#topic, partitionMetadata, message: { key, value: null } });
  }
}
