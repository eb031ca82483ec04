import { crc32 } from "node:zlib";
import { decodeValue } from "../amqp/decoder.js";
import { encodeValue } from "../amqp/encoder.js";
import { type AmqpValue, isMap, symbolMap, textOf } from "../amqp/values.js";
import type { MessageState } from "../broker/contracts.js";
import { QueuedMessage } from "../broker/queued-message.js";

/** One entry of a log or a snapshot. Queues and entities are named by their numbers. */
export type Record =
  | { readonly kind: "added"; readonly queue: number; readonly message: QueuedMessage }
  | {
      readonly kind: "changed";
      readonly queue: number;
      readonly sequence: number;
      readonly deliveryCount: number;
      readonly state: MessageState;
      /** `undefined`: as it was. */
      readonly bare: Buffer | undefined;
    }
  | { readonly kind: "removed"; readonly queue: number; readonly sequence: number }
  | { readonly kind: "session"; readonly queue: number; readonly id: string; readonly at: number; readonly state: Buffer | undefined }
  | { readonly kind: "duplicate"; readonly queue: number; readonly key: string; readonly at: number }
  | { readonly kind: "entity"; readonly json: string }
  | { readonly kind: "entity-removed"; readonly id: number }
  /** Sequence numbers up to this one were given. */
  | { readonly kind: "sequence"; readonly queue: number; readonly sequence: number }
  /** The snapshot is whole. */
  | { readonly kind: "end" };

const CODES = { added: 1, changed: 2, removed: 3, session: 4, duplicate: 5, entity: 6, "entity-removed": 7, sequence: 8, end: 9 } as const;
const KINDS = new Map<number, Record["kind"]>(Object.entries(CODES).map(([kind, code]) => [code, kind as Record["kind"]]));

/** Before each payload: its length and its CRC-32. */
export const RECORD_HEADER = 8;
/** No record is longer: a length above it is damage. */
const LONGEST_RECORD = 256 * 1_048_576;

const NONE = 0xffff_ffff;
/** Of a flag that is neither. */
const UNKNOWN = 2;

/** A record with its length and checksum, ready to be appended. */
export function encodeRecord(record: Record): Buffer {
  const writer = new Writer();
  writer.byte(CODES[record.kind]);
  writeFields(writer, record);
  return writer.finish();
}

/**
 * The record at a position, and where the next one starts. `undefined` when it is not whole: the bytes end, or the checksum does not fit.
 */
export function decodeRecord(bytes: Buffer, at: number): { readonly record: Record; readonly next: number } | undefined {
  if (at + RECORD_HEADER > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at);
  const next = at + RECORD_HEADER + length;
  if (length === 0 || length > LONGEST_RECORD || next > bytes.length) return undefined;
  const payload = bytes.subarray(at + RECORD_HEADER, next);
  if (crc32(payload) !== bytes.readUInt32LE(at + 4)) return undefined;
  return { record: readFields(new Reader(payload)), next };
}

/** How many bytes the record that starts at a position has, as far as its header is there. */
export function recordLength(bytes: Buffer, at: number): number | undefined {
  if (at + RECORD_HEADER > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at);
  return length > LONGEST_RECORD ? undefined : RECORD_HEADER + length;
}

function writeFields(writer: Writer, record: Record): void {
  switch (record.kind) {
    case "added":
      writer.number(record.queue);
      writeMessage(writer, record.message);
      return;
    case "changed":
      writer.number(record.queue).number(record.sequence).number(record.deliveryCount).byte(record.state);
      writer.bytes(record.bare);
      return;
    case "removed":
    case "sequence":
      writer.number(record.queue).number(record.sequence);
      return;
    case "session":
      writer.number(record.queue).number(record.at).text(record.id);
      writer.bytes(record.state);
      return;
    case "duplicate":
      writer.number(record.queue).number(record.at).text(record.key);
      return;
    case "entity":
      writer.text(record.json);
      return;
    case "entity-removed":
      writer.number(record.id);
      return;
    case "end":
  }
}

function readFields(reader: Reader): Record {
  const kind = KINDS.get(reader.byte());
  switch (kind) {
    case "added":
      return { kind, queue: reader.number(), message: readMessage(reader) };
    case "changed":
      return {
        kind,
        queue: reader.number(),
        sequence: reader.number(),
        deliveryCount: reader.number(),
        state: reader.byte() as MessageState,
        bare: reader.bytes(),
      };
    case "removed":
    case "sequence":
      return { kind, queue: reader.number(), sequence: reader.number() };
    case "session": {
      const [queue, at] = [reader.number(), reader.number()];
      return { kind, queue, at, id: reader.text() ?? "", state: reader.bytes() };
    }
    case "duplicate": {
      const [queue, at] = [reader.number(), reader.number()];
      return { kind, queue, at, key: reader.text() ?? "" };
    }
    case "entity":
      return { kind, json: reader.text() ?? "" };
    case "entity-removed":
      return { kind, id: reader.number() };
    case "end":
      return { kind };
    case undefined:
      throw new Error(
        "The data folder was written by a newer version of the emulator: it holds a kind of record that this one does not know.",
      );
  }
}

function writeMessage(writer: Writer, message: QueuedMessage): void {
  writer.number(message.sequence).number(message.enqueuedSequence).number(message.enqueuedTime).number(message.deliveryCount);
  writer
    .byte(message.state)
    .byte(message.durable === undefined ? UNKNOWN : message.durable ? 1 : 0)
    .byte(message.hops);
  writer.byte(message.expiresAt === Number.POSITIVE_INFINITY ? 0 : 1);
  writer
    .number(message.priority ?? -1)
    .number(message.timeToLive ?? -1)
    .number(message.scheduledEnqueueTime ?? -1);
  writer.text(message.sessionId).text(message.deadLetterSource);
  writer.bytes(bytesOf(message.annotations));
  writer.bytes(bytesOf(message.deliveryAnnotations));
  writer.bytes(message.bare);
}

function readMessage(reader: Reader): QueuedMessage {
  const position = { sequence: reader.number(), enqueuedSequence: reader.number(), enqueuedTime: reader.number() };
  const deliveryCount = reader.number();
  const state = reader.byte() as MessageState;
  const [durability, hops, expires] = [reader.byte(), reader.byte(), reader.byte() === 1];
  const durable = durability === UNKNOWN ? undefined : durability === 1;
  const [priority, timeToLive, scheduledEnqueueTime] = [reader.optional(), reader.optional(), reader.optional()];
  const [sessionId, deadLetterSource] = [reader.text(), reader.text()];
  const [annotations, deliveryAnnotations] = [annotationsOf(reader.bytes()), annotationsOf(reader.bytes())];
  const bare = reader.bytes() ?? Buffer.alloc(0);
  const message = new QueuedMessage(
    { durable, hops, priority, timeToLive, scheduledEnqueueTime, sessionId, deadLetterSource, annotations, deliveryAnnotations, bare },
    { ...position, expires },
  );
  message.deliveryCount = deliveryCount;
  message.state = state;
  return message;
}

function bytesOf(annotations: ReadonlyMap<string, AmqpValue> | undefined): Buffer | undefined {
  return annotations && encodeValue(symbolMap(Object.fromEntries(annotations)));
}

function annotationsOf(bytes: Buffer | undefined): Map<string, AmqpValue> | undefined {
  const value = bytes && decodeValue(bytes);
  return isMap(value) ? new Map(value.entries.map(([key, entry]) => [textOf(key) ?? "", entry] as const)) : undefined;
}

/** Collects fields; nothing is copied before the whole length is known. */
class Writer {
  readonly #parts: Buffer[] = [];
  #small = Buffer.allocUnsafe(160);
  #at = RECORD_HEADER;
  #from = 0;

  byte(value: number): this {
    this.#reserve(1);
    this.#at = this.#small.writeUInt8(value, this.#at);
    return this;
  }

  number(value: number): this {
    this.#reserve(8);
    this.#at = this.#small.writeDoubleLE(value, this.#at);
    return this;
  }

  text(value: string | undefined): this {
    this.bytes(value === undefined ? undefined : Buffer.from(value));
    return this;
  }

  bytes(value: Buffer | undefined): void {
    this.#reserve(4);
    this.#at = this.#small.writeUInt32LE(value?.length ?? NONE, this.#at);
    if (!value || value.length === 0) return;
    this.#parts.push(this.#small.subarray(this.#from, this.#at), value);
    this.#from = this.#at;
  }

  finish(): Buffer {
    this.#parts.push(this.#small.subarray(this.#from, this.#at));
    const whole = Buffer.concat(this.#parts);
    const payload = whole.subarray(RECORD_HEADER);
    whole.writeUInt32LE(payload.length, 0);
    whole.writeUInt32LE(crc32(payload), 4);
    return whole;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#small.length) return;
    this.#parts.push(this.#small.subarray(this.#from, this.#at));
    this.#small = Buffer.allocUnsafe(160);
    this.#at = this.#from = 0;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#at++);
  }

  number(): number {
    const value = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  /** A number that is never negative when it is there. */
  optional(): number | undefined {
    const value = this.number();
    return value < 0 ? undefined : value;
  }

  text(): string | undefined {
    return this.#view()?.toString("utf8");
  }

  /** A copy: what is read from a file must not be kept alive by one message of it. */
  bytes(): Buffer | undefined {
    const view = this.#view();
    return view && Buffer.from(view);
  }

  #view(): Buffer | undefined {
    const length = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    if (length === NONE) return undefined;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
