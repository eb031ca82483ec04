import type { Socket } from "node:net";
import type { CompressionCodecs, KafkaMessage } from "kafkajs";
import { type Span, without } from "./byte-spans.js";
import { fetchIdOf, withoutResting } from "./kafkajs-fetch-requests.js";
import type { EncodedRecords } from "./record-decoder.js";
import type { RestingTopics } from "./resting-topics.js";

/** A number of topics or partitions, and where it stands. */
interface Count {
  readonly at: number;
  left: number;
}

/** What a codec of kafkajs is to those who only read. */
interface Codec {
  decompress(buffer: Buffer): Promise<Buffer>;
}
type Codecs = Record<number, (() => Codec) | undefined>;

/** The numbers of codecs that Kafka does not use. */
const FREE_CODECS: readonly number[] = [7, 6, 5];

/** Behind the size of a response. */
const RESPONSE_ID_AT = 4;
const SIZE_BYTES = 4;
const RESPONSE_HEAD_BYTES = 8;
/** Throttling, error and session; then, of each partition, its number, its error, and its three offsets. */
const FETCH_HEAD_BYTES = 10;
const ERROR_AT = 4;
const OFFSETS_BYTES = 24;
const ABORTED_BYTES = 16;
const NO_REPLICA = -1;

/** Where the fields of a record batch stand, from its beginning on (https://kafka.apache.org/documentation/#recordbatch). */
const LENGTH_AT = 8;
const LENGTH_END = 12;
const EPOCH_AT = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_DELTA_AT = 23;
const FIRST_TIME_AT = 27;
const MAX_TIME_AT = 35;
const COUNT_AT = 57;
const RECORDS_AT = 61;
const MAGIC = 2;
/** A codec, a transaction, marks of one: such a batch is left to kafkajs. */
const NOT_PLAIN = 0x37;
const TIME_OF_BROKER = 0x08;

/** In place of the leader's epoch, which kafkajs does not look at: the batch is one that was marked here. */
const EPOCH_MARK = 0x7b_75_73_21;

const codecs = new WeakSet<() => Codec>();
/** By the memory of the stand-in that kafkajs was given for them. */
const encodedRecords = new WeakMap<ArrayBufferLike, EncodedRecords>();

/**
 * The number of the codec with which kafkajs reads a stand-in, a single record, where plain records are; `undefined` where no number is free. kafkajs makes ten
 * objects for each record and each of its headers, and spells its numbers as text, which takes longer than everything that the bus does with it: so plain
 * records are marked as encoded by that codec as they arrive, and read by `decodeRecords`.
 */
export function fetchingCodec(module: { readonly CompressionCodecs: typeof CompressionCodecs }): number | undefined {
  const known = module.CompressionCodecs as unknown as Codecs;
  for (const number of FREE_CODECS) {
    const taken = known[number];
    if (taken && codecs.has(taken)) return number;
    if (taken) continue;
    const make = (): Codec => ({ decompress: async (buffer) => standInFor(buffer) });
    known[number] = make;
    codecs.add(make);
    return number;
  }
  return undefined;
}

/** The records that this one stands for, if it does. */
export function recordsBehind({ value }: KafkaMessage): EncodedRecords | undefined {
  return value === null ? undefined : encodedRecords.get(value.buffer);
}

/**
 * Marks the plain records in what is fetched over the socket, which has to hand over whole responses, and leaves out the partitions of which there is nothing to
 * ask or to tell. A broker names each that it was asked for in each answer, unless the client keeps a session with it (KIP-227), and kafkajs makes a batch of each
 * and several promises, to find that it is empty.
 */
export function markFetches(socket: Socket, codec: number, resting: RestingTopics): void {
  const fetches = new Set<number>();
  const write = socket.write.bind(socket) as (data: unknown, ...rest: unknown[]) => boolean;
  const noting = (data: unknown, ...rest: unknown[]): boolean => {
    const id = Buffer.isBuffer(data) ? fetchIdOf(data) : undefined;
    if (id === undefined) return write(data, ...rest);
    fetches.add(id);
    return write(resting.areAny ? withoutResting(data as Buffer, resting) : data, ...rest);
  };
  socket.write = noting as Socket["write"];
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...args: unknown[]) => boolean;
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event === "data" && fetches.size > 0) return emit(event, marked(args[0] as Buffer, fetches, codec, resting));
    return emit(event, ...args);
  };
}

function marked(responses: Buffer, fetches: Set<number>, codec: number, resting: RestingTopics): Buffer {
  const silent: Span[] = [];
  for (let at = 0; at + RESPONSE_HEAD_BYTES <= responses.length; ) {
    const end = at + SIZE_BYTES + responses.readInt32BE(at);
    if (fetches.delete(responses.readInt32BE(at + RESPONSE_ID_AT))) {
      try {
        const spans = markResponse(responses.subarray(at + RESPONSE_HEAD_BYTES, end), codec, resting);
        let size = end - at - SIZE_BYTES;
        for (const { from, to } of spans) {
          silent.push({ from: at + RESPONSE_HEAD_BYTES + from, to: at + RESPONSE_HEAD_BYTES + to });
          size -= to - from;
        }
        responses.writeInt32BE(size, at);
      } catch (error) {
        // Not what was expected: kafkajs reads it as it came, and says what is wrong with it.
        if (!(error instanceof RangeError)) throw error;
      }
    }
    at = end;
  }
  return without(silent, responses);
}

/** @returns what says nothing, which is not counted any more. @throws RangeError when the response ends early, and then it is */
function markResponse(response: Buffer, codec: number, resting: RestingTopics): readonly Span[] {
  const reader = new ResponseReader(response, FETCH_HEAD_BYTES);
  const silent: Span[] = [];
  const counts: Count[] = [];
  const count: Count = { at: reader.at, left: 0 };
  for (let topics = reader.int32(); topics > 0; topics--) {
    const from = reader.at;
    const name = reader.bytes(reader.int16());
    const ofTopic: Count = { at: reader.at, left: 0 };
    const partitions = markPartitions(reader, codec, ofTopic);
    if (ofTopic.left === 0) {
      silent.push({ from, to: reader.at });
    } else {
      count.left++;
      counts.push(ofTopic);
      if (resting.areAny) resting.brought(name.toString());
      silent.push(...partitions);
    }
  }
  for (const { at, left } of [count, ...counts]) response.writeInt32BE(left, at);
  return silent;
}

/** @returns those of the topic that say nothing; `count` is told of the others */
function markPartitions(reader: ResponseReader, codec: number, count: Count): readonly Span[] {
  const silent: Span[] = [];
  for (let partitions = reader.int32(); partitions > 0; partitions--) {
    const from = reader.at;
    reader.at += ERROR_AT;
    const error = reader.int16();
    reader.at += OFFSETS_BYTES;
    const aborted = Math.max(0, reader.int32());
    reader.at += aborted * ABORTED_BYTES;
    const replica = reader.int32();
    const records = reader.bytes(Math.max(0, reader.int32()));
    markBatches(records, codec);
    if (error === 0 && replica === NO_REPLICA && records.length === 0) silent.push({ from, to: reader.at });
    else count.left++;
  }
  return silent;
}

/** All of it throw a RangeError where the response ends. */
class ResponseReader {
  at: number;
  readonly #response: Buffer;

  constructor(response: Buffer, at: number) {
    this.#response = response;
    this.at = at;
  }

  int16(): number {
    this.at += 2;
    return this.#response.readInt16BE(this.at - 2);
  }

  int32(): number {
    this.at += 4;
    return this.#response.readInt32BE(this.at - 4);
  }

  bytes(length: number): Buffer {
    this.at += length;
    if (this.at > this.#response.length) throw new RangeError("the answer to a fetch ends early");
    return this.#response.subarray(this.at - length, this.at);
  }
}

function markBatches(batches: Buffer, codec: number): void {
  for (let at = 0; at + RECORDS_AT <= batches.length; ) {
    const end = at + LENGTH_END + batches.readInt32BE(at + LENGTH_AT);
    // The last one may be cut off, and is fetched again.
    if (end < at + RECORDS_AT || end > batches.length || batches[at + MAGIC_AT] !== MAGIC) return;
    const attributes = batches.readInt16BE(at + ATTRIBUTES_AT);
    const count = batches.readInt32BE(at + COUNT_AT);
    if ((attributes & NOT_PLAIN) === 0 && count > 0) {
      batches.writeInt32BE(EPOCH_MARK, at + EPOCH_AT);
      // kafkajs does not look at the checksum either, and is told of one record.
      batches.writeInt32BE(count, at + CRC_AT);
      batches.writeInt16BE(attributes | codec, at + ATTRIBUTES_AT);
      batches.writeInt32BE(1, at + COUNT_AT);
    }
    at = end;
  }
}

/** What kafkajs reads instead of the records at the end of a batch: a record at the place of the last one. */
function standInFor(bytes: Buffer): Buffer {
  const isWhole = bytes.byteOffset >= RECORDS_AT;
  const batch = isWhole ? Buffer.from(bytes.buffer, bytes.byteOffset - RECORDS_AT, RECORDS_AT) : undefined;
  if (batch?.readInt32BE(EPOCH_AT) !== EPOCH_MARK) throw new Error("the batch is compressed with a codec that nobody knows");
  const isTimeOfAll = (batch.readInt16BE(ATTRIBUTES_AT) & TIME_OF_BROKER) !== 0;
  const standIn = singleRecord(batch.readInt32BE(LAST_DELTA_AT));
  encodedRecords.set(standIn.buffer, {
    bytes,
    count: batch.readInt32BE(CRC_AT),
    baseOffset: Number(batch.readBigInt64BE(0)),
    timestamp: Number(batch.readBigInt64BE(isTimeOfAll ? MAX_TIME_AT : FIRST_TIME_AT)),
    isTimeOfAll,
  });
  return standIn;
}

/** A record without content, in memory of its own. */
function singleRecord(offsetDelta: number): Buffer {
  const varint: number[] = [];
  // Zigzag: what is not negative is doubled.
  let rest = offsetDelta * 2;
  for (; rest >= 128; rest = Math.floor(rest / 128)) varint.push((rest % 128) + 128);
  varint.push(rest);
  // Attributes and time, the offset, no key (-1 in zigzag), an empty value, no headers.
  const content = [0, 0, ...varint, 1, 0, 0];
  const record = new Uint8Array([content.length * 2, ...content]);
  return Buffer.from(record.buffer);
}
