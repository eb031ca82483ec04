import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import type { IncomingRecord } from "./driver.js";
import { UNDECODABLE_BATCH } from "./driver-consumer.js";
import type { KafkajsModule } from "./kafkajs-home.js";

/** What a codec of kafkajs is to those who only read. */
interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}
type MakeCodec = () => Codec;

/** Where, before the compressed bytes, the fields of a record batch stand, and how far back the batch begins (`recordBatch/v0` of kafkajs). */
const COUNT_BEFORE = 4;
const LAST_DELTA_BEFORE = 34;
const ATTRIBUTES_BEFORE = 36;
const MAGIC_BEFORE = 41;
const MAGIC = 2;
const CODEC_MASK = 7;
const MAX_RECORDS = 10_000_000;
const NAMES = ["none", "gzip", "snappy", "lz4", "zstd"];

const MARK_HEADER = "tb-undecodable-batch";
/** Nobody outside of this process can write it: a record with this mark was made here. */
const MARK = randomBytes(18).toString("base64url");
const FILLER = "filler";

const passing = new AsyncLocalStorage<true>();
const wrapped = new WeakSet<MakeCodec>();

/**
 * Runs `work`, in which a batch that kafkajs cannot decompress, since there is no codec or it is damaged, becomes as many records without
 * content as it says it holds; the first carries the batch's bytes (see {@link asUndecodable}). Elsewhere in the process kafkajs does what it always
 * does, which is to fail: and with it everything else in the same fetch, again and again, without a word about where the batch is.
 */
export function passUndecodable<T>(module: KafkajsModule, work: () => T): T {
  const codecs = module.CompressionCodecs as unknown as Record<number, MakeCodec>;
  for (const type of [1, 2, 3, 4]) {
    const make = codecs[type];
    if (make && !wrapped.has(make)) codecs[type] = wrap(make);
  }
  return passing.run(true, work);
}

/**
 * The record as it is told on: one that stands for an unreadable batch names the batch's codec as its content type; `undefined` for the rest of
 * such a batch, which goes with the first.
 */
export function asUndecodable(record: IncomingRecord): IncomingRecord | undefined {
  const mark = record.headers[MARK_HEADER];
  if (!Buffer.isBuffer(mark)) return record;
  const text = mark.toString("latin1");
  if (!text.startsWith(MARK)) return record;
  const codec = text.slice(MARK.length);
  return codec === FILLER ? undefined : { ...record, headers: { "content-type": UNDECODABLE_BATCH + codec } };
}

function wrap(make: MakeCodec): MakeCodec {
  const wrapping: MakeCodec = () => {
    if (!passing.getStore()) return make();
    return {
      compress: (encoder) => make().compress(encoder),
      decompress: async (buffer) => {
        try {
          return await make().decompress(buffer);
        } catch (error) {
          const placeholder = placeholderOf(buffer);
          if (!placeholder) throw error;
          return placeholder;
        }
      },
    };
  };
  wrapped.add(wrapping);
  return wrapping;
}

// A codec is given the compressed bytes alone. They are a part of the answer as it came, and the batch's header stands right before them.
function placeholderOf(compressed: Buffer): Buffer | undefined {
  if (compressed.byteOffset < MAGIC_BEFORE + COUNT_BEFORE) return undefined;
  const start = compressed.byteOffset - MAGIC_BEFORE - COUNT_BEFORE;
  const header = Buffer.from(compressed.buffer, start, MAGIC_BEFORE + COUNT_BEFORE);
  const at = (before: number): number => header.length - COUNT_BEFORE - before;
  const count = header.readInt32BE(header.length - COUNT_BEFORE);
  const lastDelta = header.readInt32BE(at(LAST_DELTA_BEFORE));
  if (header.readInt8(at(MAGIC_BEFORE)) !== MAGIC || count < 1 || count > MAX_RECORDS || lastDelta < count - 1) return undefined;
  const codec = NAMES[header.readInt16BE(at(ATTRIBUTES_BEFORE)) & CODEC_MASK] ?? "unknown";
  const records = [record(0, MARK + codec, compressed)];
  for (let i = 1; i < count; i++) records.push(record(i === count - 1 ? lastDelta : i, MARK + FILLER, null));
  return Buffer.concat(records);
}

/** One record as the protocol writes it within a batch. */
function record(offsetDelta: number, mark: string, value: Buffer | null): Buffer {
  const name = Buffer.from(MARK_HEADER);
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(0),
    varint(offsetDelta),
    varint(-1),
    value ? varint(value.length) : varint(-1),
    value ?? Buffer.alloc(0),
    varint(1),
    varint(name.length),
    name,
    varint(mark.length),
    Buffer.from(mark, "latin1"),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  // Zigzag: the sign is the lowest bit.
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
