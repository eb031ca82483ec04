import { createRequire } from "node:module";
import { Duplex } from "node:stream";
import kafkajs, { type Batch, type EachBatchPayload, type KafkaMessage } from "kafkajs";
import { expect, test } from "vitest";
import type { RecordContent } from "../../transports/kafka/driver.js";
import { FetchedBatch } from "../../transports/kafka/kafkajs-batch.js";
import { fetchingCodec, markFetches, recordsBehind } from "../../transports/kafka/kafkajs-fetches.js";
import { encodeRecords } from "../../transports/kafka/record-encoder.js";
import { RestingTopics } from "../../transports/kafka/resting-topics.js";

interface Partition {
  readonly partition: number;
  readonly messages: readonly KafkaMessage[];
  readonly highWatermark: string;
}
interface Response {
  readonly responses: readonly { readonly topicName: string; readonly partitions: readonly Partition[] }[];
}
const require = createRequire(import.meta.url);
const { decode } = require("kafkajs/src/protocol/requests/fetch/v11/response.js") as { decode(bytes: Buffer): Promise<Response> };
const requestFor = require("kafkajs/src/protocol/requests/fetch/v11/request.js") as (options: object) => object;
const encodeRequest = require("kafkajs/src/protocol/request.js") as (parts: object) => Promise<{ readonly buffer: Buffer }>;
const BatchOfKafkajs = require("kafkajs/src/consumer/batch.js") as new (
  topic: string,
  fetchedOffset: string,
  partition: Partition,
) => Batch;

const codec = fetchingCodec(kafkajs) ?? 0;
const record = (text: string): RecordContent => ({
  key: Buffer.from(text),
  value: Buffer.from(`value of ${text}`),
  headers: { of: Buffer.from(text) },
});
const records = (name: string, count: number): readonly RecordContent[] => Array.from({ length: count }, (_, i) => record(`${name}${i}`));

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

interface BatchParts {
  readonly of: readonly RecordContent[];
  readonly baseOffset: number;
  readonly attributes?: number;
  readonly lastDelta?: number;
}
function batch({ of, baseOffset, attributes = 0, lastDelta = of.length - 1 }: BatchParts): Buffer {
  const body = Buffer.concat([
    ...[int32(4), Buffer.from([2]), int32(0x1234_5678), int16(attributes), int32(lastDelta)],
    ...[int64(1_700_000_000_000), int64(1_700_000_000_500), int64(-1), int16(-1), int32(-1)],
    ...[int32(of.length), encodeRecords(of)],
  ]);
  return Buffer.concat([int64(baseOffset), int32(body.length), body]);
}

interface PartitionParts {
  readonly batches: readonly Buffer[];
  readonly aborted?: number;
  readonly error?: number;
  readonly replica?: number;
}
function topicPart(name: string, partitions: readonly PartitionParts[]): Buffer {
  return Buffer.concat([
    ...[int16(name.length), Buffer.from(name), int32(partitions.length)],
    ...partitions.flatMap(({ batches, aborted = -1, error = 0, replica = -1 }, i) => {
      const all = Buffer.concat(batches);
      return [
        ...[int32(i), int16(error), int64(1_000), int64(1_000), int64(0), int32(aborted), Buffer.alloc(16 * Math.max(0, aborted))],
        ...[int32(replica), int32(all.length), all],
      ];
    }),
  ]);
}
function responseOf(id: number, topics: readonly Buffer[]): Buffer {
  const body = Buffer.concat([int32(id), int32(0), int16(0), int32(0), int32(topics.length), ...topics]);
  return Buffer.concat([int32(body.length), body]);
}
const response = (id: number, partitions: readonly PartitionParts[]): Buffer => responseOf(id, [topicPart("orders", partitions)]);

function fetchRequest(id: number, version = 11): Buffer {
  return Buffer.concat([int32(100), int16(1), int16(version), int32(id), Buffer.alloc(92)]);
}

/** What kafkajs is given of these bytes by a socket that was asked for them. */
function arrived(bytes: Buffer, ...requests: readonly Buffer[]): Buffer {
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  markFetches(socket as unknown as Parameters<typeof markFetches>[0], codec, new RestingTopics(new Map()));
  for (const request of requests) socket.write(request);
  let given: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    given = chunk;
  });
  socket.emit("data", bytes);
  return given;
}

async function partitionsOf(bytes: Buffer): Promise<readonly Partition[]> {
  const { responses } = await decode(bytes.subarray(8, 4 + bytes.readInt32BE(0)));
  return responses[0]?.partitions ?? [];
}

function readBy(partition: Partition, fetchedOffset: number) {
  const batchOfKafkajs = new BatchOfKafkajs("orders", String(fetchedOffset), partition);
  const read = new FetchedBatch({ batch: batchOfKafkajs } as unknown as EachBatchPayload, 1, false);
  return { records: read.records, nextOffset: read.nextOffset };
}

test("plain records are read past kafkajs, and are the same", async () => {
  const made = (): Buffer =>
    response(7, [
      { batches: [batch({ of: records("a", 3), baseOffset: 10 }), batch({ of: records("b", 200), baseOffset: 13 })] },
      { batches: [] },
      { batches: [batch({ of: records("c", 2), baseOffset: 0, attributes: 0x08 })], aborted: 0 },
    ]);
  const plain = await partitionsOf(made());
  const marked = await partitionsOf(arrived(made(), fetchRequest(6), fetchRequest(7)));
  expect(marked.map(({ messages }) => messages.length)).toEqual([2, 1]);
  expect(marked.every(({ messages }) => messages.every((message) => recordsBehind(message)))).toBe(true);
  for (const i of [0, 2]) {
    const [before, after] = [plain[i], marked.find(({ partition }) => partition === i)];
    if (!before || !after) throw new Error("a partition is missing");
    // From within the first batch too.
    for (const from of i === 0 ? [10, 12, 13, 200] : [0, 1]) expect(readBy(after, from)).toEqual(readBy(before, from));
  }
});

test("a batch whose last records are gone from a compacted log is passed to its end", async () => {
  const made = response(1, [{ batches: [batch({ of: records("a", 2), baseOffset: 10, lastDelta: 9 })] }]);
  const [partition] = await partitionsOf(arrived(made, fetchRequest(1)));
  if (!partition) throw new Error("no partition");
  expect(readBy(partition, 10).records.map(({ offset }) => offset)).toEqual([10, 11]);
  expect(readBy(partition, 10).nextOffset).toBe(20);
  expect(readBy(partition, 15)).toEqual({ records: [], nextOffset: 20 });
});

test("what is compressed, in a transaction, a mark of one, cut off or of an older format is left as it is", async () => {
  const of = records("a", 2);
  const cutOff = batch({ of, baseOffset: 30 }).subarray(0, -5);
  const older = batch({ of, baseOffset: 30 });
  older[16] = 1;
  for (const left of [
    ...[1, 2, 3, 4, 0x10, 0x20, 0x30].map((attributes) => batch({ of, baseOffset: 30, attributes })),
    cutOff,
    older,
    Buffer.alloc(40),
  ]) {
    const made = response(1, [{ batches: [left] }]);
    expect(arrived(Buffer.from(made), fetchRequest(1)).equals(made)).toBe(true);
  }
  // Those beside it are read past kafkajs all the same.
  const mixed = response(1, [
    { batches: [batch({ of, baseOffset: 20 }), batch({ of, baseOffset: 22, attributes: 0x10 }), batch({ of, baseOffset: 24 }), cutOff] },
  ]);
  const [partition] = await partitionsOf(arrived(mixed, fetchRequest(1)));
  if (!partition) throw new Error("no partition");
  expect(partition.messages.map((message) => recordsBehind(message) !== undefined)).toEqual([true, false, false, true]);
  expect(readBy(partition, 20).records.map(({ offset }) => offset)).toEqual([20, 21, 22, 23, 24, 25]);
});

async function decoded(bytes: Buffer): Promise<Response["responses"]> {
  return (await decode(bytes.subarray(8, 4 + bytes.readInt32BE(0)))).responses;
}

const NOTHING: PartitionParts = { batches: [] };

test("partitions of which there is nothing to tell are left out, and what is told of the others is the same", async () => {
  const left = batch({ of: records("a", 3), baseOffset: 10, attributes: 1 }).subarray(0, 70);
  const marker = batch({ of: records("m", 1), baseOffset: 30, attributes: 0x30 });
  const topics: readonly (readonly PartitionParts[])[] = [
    [NOTHING, NOTHING],
    [NOTHING, { batches: [left] }, NOTHING, { batches: [marker], aborted: 2 }, NOTHING],
    [{ batches: [], error: 6 }, NOTHING],
    [{ batches: [], aborted: 1 }],
    [{ batches: [], replica: 3 }],
    [],
    [{ batches: [left] }, { batches: [marker] }],
    [NOTHING],
  ];
  const made = responseOf(
    5,
    topics.map((partitions, i) => topicPart(`topic${i}`, partitions)),
  );
  const before = await decoded(made);
  const after = await decoded(arrived(Buffer.from(made), fetchRequest(5)));
  const told = new Map<string, readonly number[]>([
    ["topic1", [1, 3]],
    ["topic2", [0]],
    ["topic4", [0]],
    ["topic6", [0, 1]],
  ]);
  const isTold = (topic: string, partition: number): boolean => told.get(topic)?.includes(partition) ?? false;
  expect(after).toEqual(
    before
      .map(({ topicName, partitions }) => ({ topicName, partitions: partitions.filter((each) => isTold(topicName, each.partition)) }))
      .filter(({ partitions }) => partitions.length > 0),
  );
});

test("answers that come together with one from which something was left out stay whole", async () => {
  const full = response(1, [NOTHING, { batches: [batch({ of: records("a", 2), baseOffset: 20 })] }, NOTHING]);
  const other = response(2, [NOTHING, NOTHING]);
  const empty = response(3, [NOTHING, NOTHING]);
  const tail = Buffer.from([0, 0, 0]);
  const given = arrived(Buffer.concat([other, full, other, empty, other, tail]), fetchRequest(1), fetchRequest(3));
  const pieces: Buffer[] = [];
  for (let at = 0; at + 4 <= given.length; ) {
    const end = at + 4 + given.readInt32BE(at);
    pieces.push(given.subarray(at, end));
    at = end;
  }
  expect(pieces.map((piece) => piece.readInt32BE(4))).toEqual([2, 1, 2, 3, 2]);
  expect(Buffer.concat(pieces).length + tail.length).toBe(given.length);
  for (const i of [0, 2, 4]) expect(pieces[i]?.equals(other)).toBe(true);
  const partitions = await Promise.all(pieces.map(async (piece) => (await decoded(piece)).flatMap((topic) => topic.partitions)));
  expect(partitions.map((each) => each.map(({ partition }) => partition))).toEqual([[0, 1], [1], [0, 1], [], [0, 1]]);
  expect(partitions[1]?.every(({ messages }) => messages.every((message) => recordsBehind(message)))).toBe(true);
});

test("a topic of which an answer had records is asked for again at once, and one of which it had none is left alone for its rest", async () => {
  const rests = new Map([
    ["retry.10s", 1_000],
    ["retry.1m", 1_000],
  ]);
  const asked: Buffer[] = [];
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      asked.push(chunk);
      done();
    },
  });
  markFetches(socket as unknown as Parameters<typeof markFetches>[0], codec, new RestingTopics(rests));
  const names = ["orders", "retry.10s", "retry.1m"];
  const request = async (id: number): Promise<Buffer> => {
    const topics = names.map((topic) => ({ topic, partitions: [{ partition: 0, fetchOffset: "0", maxBytes: 1 }] }));
    return (await encodeRequest({ correlationId: id, clientId: "shipping", request: requestFor({ topics, maxWaitTime: 250 }) })).buffer;
  };
  socket.write(await request(1));
  const brought = { batches: [batch({ of: records("a", 1), baseOffset: 0 })] };
  socket.emit("data", responseOf(1, [topicPart("orders", [NOTHING]), topicPart("retry.10s", [brought]), topicPart("retry.1m", [NOTHING])]));
  socket.write(await request(2));
  expect(asked.map((each) => names.filter((name) => each.includes(name)))).toEqual([names, ["orders", "retry.10s"]]);
});

test("answers to anything else are left as they are, and each fetch is answered once", () => {
  const made = response(1, [{ batches: [batch({ of: records("a", 2), baseOffset: 20 })] }]);
  const untouched = (...requests: readonly Buffer[]) => arrived(Buffer.from(made), ...requests).equals(made);
  expect(untouched()).toBe(true);
  expect(untouched(fetchRequest(2))).toBe(true);
  expect(untouched(fetchRequest(1, 10))).toBe(true);
  expect(untouched(fetchRequest(1))).toBe(false);
  const twice = arrived(Buffer.concat([made, made]), fetchRequest(1));
  expect(twice.subarray(made.length).equals(made)).toBe(true);
});

test("an answer that is not laid out as expected is left to kafkajs", () => {
  const made = response(1, [{ batches: [batch({ of: records("a", 2), baseOffset: 20 })] }]);
  for (let length = 8; length < made.length; length += 7) {
    const short = Buffer.from(made.subarray(0, length));
    short.writeInt32BE(length - 4, 0);
    expect(() => arrived(short, fetchRequest(1))).not.toThrow();
  }
  const silent = response(1, [NOTHING, NOTHING, NOTHING]);
  for (let length = 30; length < silent.length; length++) {
    const short = Buffer.from(silent.subarray(0, length));
    short.writeInt32BE(length - 4, 0);
    expect(arrived(Buffer.from(short), fetchRequest(1)).equals(short)).toBe(true);
  }
});
