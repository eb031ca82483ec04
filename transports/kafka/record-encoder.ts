import type { HeaderValue, RecordContent } from "./driver.js";

/**
 * Records of one batch in Kafka's format (version 2), one behind the other: what stands behind the number of records in a batch. All have the time of the batch.
 * https://kafka.apache.org/documentation/#record
 */
export function encodeRecords(records: readonly RecordContent[]): Buffer {
  const lengths: number[] = [];
  let total = 0;
  for (let i = 0; i < records.length; i++) {
    const length = lengthOf(records[i] as RecordContent, i);
    lengths.push(length);
    total += sizeOfVarint(length) + length;
  }
  const writer = new RecordWriter(total);
  for (let i = 0; i < records.length; i++) writer.record(records[i] as RecordContent, i, lengths[i] as number);
  return writer.buffer;
}

/** Attributes and the difference to the time of the batch: a byte each. */
const FIXED_BYTES = 2;
const NOTHING = -1;

/** The bytes of a record behind its own length. */
function lengthOf({ headers, key, value }: RecordContent, offsetDelta: number): number {
  let bytes = FIXED_BYTES + sizeOfVarint(offsetDelta) + sizeOfBytes(key) + sizeOfBytes(value);
  let count = 0;
  for (const name in headers) {
    const values = headers[name];
    if (values === undefined) continue;
    const nameBytes = sizeOfText(name);
    if (isSingle(values)) {
      bytes += nameBytes + sizeOfValue(values);
      count++;
    } else {
      for (const each of values) bytes += nameBytes + sizeOfValue(each);
      count += values.length;
    }
  }
  return bytes + sizeOfVarint(count);
}

function countOf(headers: RecordContent["headers"]): number {
  let count = 0;
  for (const name in headers) {
    const values = headers[name];
    if (values !== undefined) count += isSingle(values) ? 1 : values.length;
  }
  return count;
}

function isSingle(value: HeaderValue): value is string | Buffer {
  return typeof value === "string" || Buffer.isBuffer(value);
}

function sizeOfValue(value: string | Buffer): number {
  return typeof value === "string" ? sizeOfText(value) : sizeOfBytes(value);
}

function sizeOfText(text: string): number {
  const bytes = Buffer.byteLength(text);
  return sizeOfVarint(bytes) + bytes;
}

function sizeOfBytes(bytes: Buffer | null): number {
  return bytes === null ? sizeOfVarint(NOTHING) : sizeOfVarint(bytes.length) + bytes.length;
}

/** Of a number as Kafka writes it: zigzag, seven bits a byte. */
function sizeOfVarint(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : zigzag < 0x1000_0000 ? 4 : 5;
}

class RecordWriter {
  readonly buffer: Buffer;
  #at = 0;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafe(bytes);
  }

  record({ headers, key, value }: RecordContent, offsetDelta: number, length: number): void {
    this.#varint(length);
    this.#byte(0);
    this.#byte(0);
    this.#varint(offsetDelta);
    this.#bytes(key);
    this.#bytes(value);
    this.#varint(countOf(headers));
    for (const name in headers) {
      const values = headers[name];
      if (values === undefined) continue;
      if (isSingle(values)) this.#header(name, values);
      else for (const each of values) this.#header(name, each);
    }
  }

  #header(name: string, value: string | Buffer): void {
    this.#text(name);
    if (typeof value === "string") this.#text(value);
    else this.#bytes(value);
  }

  #text(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#varint(bytes);
    this.buffer.write(text, this.#at);
    this.#at += bytes;
  }

  #bytes(bytes: Buffer | null): void {
    if (bytes === null) {
      this.#varint(NOTHING);
      return;
    }
    this.#varint(bytes.length);
    bytes.copy(this.buffer, this.#at);
    this.#at += bytes.length;
  }

  #varint(value: number): void {
    let rest = ((value << 1) ^ (value >> 31)) >>> 0;
    while (rest >= 0x80) {
      this.#byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.#byte(rest);
  }

  #byte(byte: number): void {
    this.buffer[this.#at++] = byte;
  }
}
