import type { Batch, EachBatchPayload, KafkaMessage } from "kafkajs";
import type { IncomingRecord } from "./driver.js";
import type { RecordBatch } from "./driver-consumer.js";
import { asUndecodable } from "./kafkajs-undecodable.js";

/** The batch of kafkajs, seen through the seam; what is not asked for is not made. */
export class FetchedBatch implements RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
  readonly #payload: EachBatchPayload;

  constructor(payload: EachBatchPayload, passesUndecodable: boolean) {
    const { topic, partition, messages } = payload.batch;
    this.#payload = payload;
    this.topic = topic;
    this.partition = partition;
    const records = messages.map((message) => recordOf(topic, partition, message));
    this.records = passesUndecodable ? records.map(asUndecodable).filter((record) => record !== undefined) : records;
  }

  get nextOffset(): number {
    return lastOffsetOf(this.#payload.batch) + 1;
  }

  get endOffset(): number {
    return Number(this.#payload.batch.highWatermark);
  }

  get isStale(): boolean {
    return this.#payload.isStale() || !this.#payload.isRunning();
  }
}

function recordOf(topic: string, partition: number, { offset, timestamp, key, value, headers }: KafkaMessage): IncomingRecord {
  return {
    topic,
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key,
    value,
    headers: (headers ?? {}) as IncomingRecord["headers"],
  };
}

function lastOffsetOf(batch: Batch): number {
  return Number(batch.lastOffset());
}
