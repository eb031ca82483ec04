import type { SendResult } from "../../src/contracts/transport.js";
import type { KafkaError } from "./errors.js";
import type { RecordToSend } from "./mapping.js";

/** What all records of one call share: it is answered when each of them is. */
export class PublishBatch {
  readonly #results: SendResult[];
  readonly #resolve: (results: readonly SendResult[]) => void;
  #left: number;

  constructor(size: number, resolve: (results: readonly SendResult[]) => void) {
    this.#results = new Array<SendResult>(size);
    this.#left = size;
    this.#resolve = resolve;
  }

  answer(index: number, result: SendResult): void {
    this.#results[index] = result;
    if (--this.#left === 0) this.#resolve(this.#results);
  }
}

const SENT: SendResult = Object.freeze({ outcome: "sent" });

/** One record on its way to the broker. */
export class Publication {
  readonly record: RecordToSend;
  /** What it takes in a batch of records, at most. */
  readonly bytes: number;
  readonly #batch: PublishBatch;
  readonly #index: number;
  /** Whether the caller knows what became of it. */
  isAnswered = false;
  /** Larger than its topic takes as it is: it is sent compressed, and the broker judges. */
  isOversized = false;
  /** Whether it is with the broker now. */
  isHandedOver = false;
  /** Whether it was in a request that was refused for another record's sake, and may have been stored all the same. */
  isInDoubt = false;

  constructor(record: RecordToSend, batch: PublishBatch, index: number) {
    this.record = record;
    this.bytes = recordBytes(record);
    this.#batch = batch;
    this.#index = index;
  }

  sent(): void {
    this.#answer(SENT);
  }

  /** Not stored by the last try; what an earlier one left in doubt stays so, unless no broker can ever have taken it. */
  refused(error: KafkaError): void {
    this.#answer({ outcome: this.isInDoubt && error.code !== "too-large" ? "unknown" : "refused", error });
  }

  unknown(error: KafkaError): void {
    this.#answer({ outcome: "unknown", error });
  }

  #answer(result: SendResult): void {
    if (this.isAnswered) return;
    this.isAnswered = true;
    this.#batch.answer(this.#index, result);
  }
}

/** The numbers of a record (length, attributes, time, offset, lengths of key, value and headers) in Kafka's format, each at its longest. */
const RECORD_OVERHEAD = 36;
const HEADER_OVERHEAD = 10;

/** The size of a record in Kafka's format, or a little more. */
export function recordBytes({ key, value, headers }: RecordToSend): number {
  let bytes = RECORD_OVERHEAD + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) {
    const given = headers[name];
    if (typeof given === "string" || Buffer.isBuffer(given)) bytes += HEADER_OVERHEAD + name.length + Buffer.byteLength(given);
    else for (const each of given ?? []) bytes += HEADER_OVERHEAD + Buffer.byteLength(name) + Buffer.byteLength(each);
  }
  return bytes;
}
