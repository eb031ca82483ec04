import type { Batch, EachBatchPayload, KafkaMessage } from "kafkajs";
import type { HeaderValue, IncomingRecord } from "./driver.js";
import type { RecordBatch } from "./driver-consumer.js";
import { recordsBehind } from "./kafkajs-fetches.js";
import { asUndecodable } from "./kafkajs-undecodable.js";
import { decodeRecords } from "./record-decoder.js";

/** What kafkajs's types leave out. */
interface FetchedFrom extends Batch {
  readonly fetchedOffset: string;
}

/** The batch of kafkajs, seen through the seam; what is not asked for is not made. */
export class FetchedBatch implements RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly broker: number;
  readonly records: readonly IncomingRecord[];
  readonly #payload: EachBatchPayload;

  constructor(payload: EachBatchPayload, broker: number, passesUndecodable: boolean) {
    const { topic, partition, messages } = payload.batch;
    this.#payload = payload;
    this.topic = topic;
    this.partition = partition;
    this.broker = broker;
    const records: IncomingRecord[] = [];
    for (const message of messages) {
      const encoded = recordsBehind(message);
      if (encoded) for (const record of decodeRecords(encoded, topic, partition, this.fromOffset)) records.push(record);
      else records.push(recordOf(topic, partition, message));
    }
    this.records = passesUndecodable ? records.map(asUndecodable).filter((record) => record !== undefined) : records;
  }

  get fromOffset(): number {
    return Number((this.#payload.batch as FetchedFrom).fetchedOffset);
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
    headers: headersOf(headers),
  };
}

const NO_HEADERS: IncomingRecord["headers"] = Object.freeze({});
const NO_BYTES = Buffer.alloc(0);

/**
 * As they are, as a rule. Of a header without a value kafkajs makes `null`, and of one with a name that every object knows ("constructor") an array that begins
 * with what the object has under it.
 */
function headersOf(headers: KafkaMessage["headers"]): IncomingRecord["headers"] {
  if (headers === undefined) return NO_HEADERS;
  for (const name in headers) if (!Buffer.isBuffer(headers[name])) return mended(headers);
  return headers as IncomingRecord["headers"];
}

function mended(headers: NonNullable<KafkaMessage["headers"]>): IncomingRecord["headers"] {
  const entries = Object.entries(headers).map(([name, value]): [string, HeaderValue] => {
    if (!Array.isArray(value)) return [name, value ?? NO_BYTES];
    const given: readonly unknown[] = value;
    return [
      name,
      given
        .filter((each) => each === null || Buffer.isBuffer(each) || typeof each === "string")
        .map((each) => (each ?? NO_BYTES) as Buffer | string),
    ];
  });
  return Object.fromEntries(entries);
}

function lastOffsetOf(batch: Batch): number {
  return Number(batch.lastOffset());
}
