import type { HeaderValue, IncomingRecord } from "./driver.js";

/** The records of one batch in Kafka's format (version 2), and what their own numbers count from. */
export interface EncodedRecords {
  readonly bytes: Buffer;
  readonly count: number;
  readonly baseOffset: number;
  /** That of the first record, from which the others' differ; or that of all, when the broker has set it. */
  readonly timestamp: number;
  readonly isTimeOfAll: boolean;
}

/**
 * The records at `from` and behind it, as `encodeRecords` writes them. Keys, values and headers share their memory with the batch.
 * https://kafka.apache.org/documentation/#record
 * @throws RangeError when the batch is damaged
 */
export function decodeRecords(encoded: EncodedRecords, topic: string, partition: number, from: number): IncomingRecord[] {
  const reader = new RecordReader(encoded.bytes);
  const records: IncomingRecord[] = [];
  for (let i = 0; i < encoded.count; i++) {
    const end = reader.begin();
    const delta = reader.timeDelta();
    const offset = encoded.baseOffset + reader.varint();
    // Most often the batch was asked for from its beginning on.
    if (offset >= from) {
      const timestamp = encoded.isTimeOfAll ? encoded.timestamp : encoded.timestamp + delta;
      records.push({ topic, partition, offset, timestamp, key: reader.bytes(), value: reader.bytes(), headers: reader.headers() });
    }
    reader.end(end);
  }
  return records;
}

type Headers = Record<string, HeaderValue>;

const NO_BYTES = Buffer.alloc(0);
const NO_HEADERS: Readonly<Headers> = Object.freeze({});
const ATTRIBUTES_BYTES = 1;
const SEVEN_BITS = 128;
const LONGEST_VARLONG = 10;

/** The names at their places in the records before: nearly all have the same, which are compared rather than made anew. */
const MOST_NAMES = 32;
const knownNames: { readonly bytes: Buffer; readonly text: string }[] = [];

class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @returns where the record ends */
  begin(): number {
    const length = this.varint();
    const end = this.#at + length;
    if (length < ATTRIBUTES_BYTES || end > this.#bytes.length) throw damaged();
    this.#at += ATTRIBUTES_BYTES;
    return end;
  }

  end(end: number): void {
    if (this.#at > end) throw damaged();
    this.#at = end;
  }

  /** Zigzag, seven bits a byte, at most 32 bits. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= (byte & 0x7f) << shift;
      if (byte < SEVEN_BITS) return (value >>> 1) ^ -(value & 1);
    }
    throw damaged();
  }

  /** Like {@link varint}, of up to 64 bits: beyond 2^53 not exact, which is no time of this age. */
  timeDelta(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < LONGEST_VARLONG; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * factor;
      if (byte < SEVEN_BITS) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      factor *= SEVEN_BITS;
    }
    throw damaged();
  }

  bytes(): Buffer | null {
    const length = this.varint();
    return length < 0 ? null : this.#take(length);
  }

  headers(): Readonly<Headers> {
    const count = this.varint();
    if (count <= 0) return NO_HEADERS;
    const headers: Headers = {};
    for (let i = 0; i < count; i++) {
      const name = this.#name(i);
      const value = this.bytes() ?? NO_BYTES;
      const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
      if (before !== undefined) put(headers, name, Array.isArray(before) ? [...before, value] : [before as Buffer, value]);
      else if (name === "__proto__") put(headers, name, value);
      else headers[name] = value;
    }
    return headers;
  }

  #name(place: number): string {
    const length = this.varint();
    if (length < 0) throw damaged();
    const known = knownNames[place];
    if (known && known.bytes.length === length && this.#isAt(known.bytes)) {
      this.#at += length;
      return known.text;
    }
    const bytes = this.#take(length);
    const text = bytes.toString("utf8");
    // A copy: what was received is a part of a whole fetch.
    if (place < MOST_NAMES) knownNames[place] = { bytes: Buffer.from(bytes), text };
    return text;
  }

  #isAt(bytes: Buffer): boolean {
    for (let i = 0; i < bytes.length; i++) if (this.#bytes[this.#at + i] !== bytes[i]) return false;
    return true;
  }

  #take(length: number): Buffer {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw damaged();
    return this.#bytes.subarray(start, this.#at);
  }
}

// A name may be "__proto__", which an assignment would take for something else.
function put(headers: Headers, name: string, value: HeaderValue): void {
  Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
}

function damaged(): RangeError {
  return new RangeError("a batch of records is damaged: one of its records is longer than what is left");
}
