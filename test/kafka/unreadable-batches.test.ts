import kafkajs from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { describeWithKafka } from "../support/brokers.js";
import { instance, textOf } from "./support/endpoint.js";
import { Bench } from "./support/port.js";

const { CompressionCodecs, CompressionTypes } = kafkajs;

type Compression = 1 | 2 | 3 | 4;
const codecs = CompressionCodecs as unknown as Record<number, unknown>;

/** Snappy as Kafka's Java clients frame it, of literals alone. */
function snappy(bytes: Buffer): Buffer {
  const size = Buffer.from([0x80 | (bytes.length & 0x7f), bytes.length >> 7]);
  const literal = Buffer.concat([size, Buffer.from([61 << 2, (bytes.length - 1) & 0xff, (bytes.length - 1) >> 8]), bytes]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(literal.length);
  return Buffer.concat([Buffer.from("\x82SNAPPY\0\0\0\0\x01\0\0\0\x01", "latin1"), length, literal]);
}

/** A frame of zstd with one block that is not compressed. */
function zstd(bytes: Buffer): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 0]);
  header.writeUInt16LE(bytes.length - 256, 5);
  const block = Buffer.alloc(3);
  block.writeUIntLE((bytes.length << 3) | 1, 0, 3);
  return Buffer.concat([header, block, bytes]);
}

/** Has kafkajs find every batch of this codec damaged until the test ends: a broker takes none that is. */
function damage(compression: Compression): void {
  const make = codecs[compression] as () => { compress(encoder: { buffer: Buffer }): Promise<Buffer> };
  codecs[compression] = () => ({
    compress: make().compress,
    decompress: async () => {
      throw Object.assign(new Error("incorrect header check"), { code: "Z_DATA_ERROR", errno: -3 });
    },
  });
  onTestFinished(() => {
    codecs[compression] = make;
  });
}

const LONG = "x".repeat(300);

/** Appends batches to the endpoint's topic as another client would. @returns the bytes of those that are compressed */
async function produce(bench: Bench, topic: string, compression: Compression, compress?: (bytes: Buffer) => Buffer): Promise<Buffer[]> {
  const compressed: Buffer[] = [];
  const before = codecs[compression];
  if (compress) {
    codecs[compression] = () => ({
      compress: async ({ buffer }: { buffer: Buffer }) => {
        const bytes = compress(buffer);
        compressed.push(bytes);
        return bytes;
      },
    });
  }
  const producer = bench.kafka.producer();
  await producer.connect();
  const send = (texts: string[], as: number = CompressionTypes.None) =>
    producer.send({ topic: bench.namePrefix + topic, compression: as, messages: texts.map((value) => ({ value })) });
  await send(["before"]);
  await send([`1${LONG}`, `2${LONG}`, `3${LONG}`], compression);
  await send(["between"]);
  await send([`4${LONG}`], compression);
  await send(["after"]);
  await producer.disconnect();
  if (compress) codecs[compression] = before;
  return compressed;
}

describeWithKafka("unreadable batches", ({ brokers }) => {
  test.each<[name: string, compression: Compression, compress: ((bytes: Buffer) => Buffer) | undefined]>([
    ["snappy", 2, snappy],
    ["zstd", 4, zstd],
    ["gzip", 1, undefined],
  ])(
    "a batch compressed with %s that cannot be read is handed over as its bytes, once, and its neighbours as they are",
    async (name, compression, compress) => {
      const bench = new Bench(brokers);
      if (!compress) damage(compression);
      const { port, inbox, leave } = await instance(bench, bench.plan("shipping"), { options: { partitions: 1 } });
      const compressed = await produce(bench, "shipping", compression, compress);

      const deliveries = await inbox.reach(5, 60_000);
      const [before, first, between, second, after] = deliveries;
      expect([before, between, after].map((delivery) => delivery && textOf(delivery))).toEqual(["before", "between", "after"]);
      expect(deliveries.map(({ source }) => source.split("@")[1])).toEqual(["0", "1", "4", "5", "6"]);
      for (const [i, unreadable] of [first, second].entries()) {
        expect(unreadable?.properties.contentType).toBe(`application/vnd.apache.kafka.record-batch+${name}`);
        if (compress) expect(compressed[i]?.equals(unreadable?.body ?? Buffer.alloc(0))).toBe(true);
      }
      expect(port.log.filter((line) => line.startsWith("warn"))).toHaveLength(1);
      await leave();

      const next = await instance(bench, bench.plan("shipping"), { options: { partitions: 1 } });
      const producer = bench.kafka.producer();
      await producer.connect();
      await producer.send({ topic: `${bench.namePrefix}shipping`, messages: [{ value: "last" }] });
      await producer.disconnect();
      expect((await next.inbox.reach(1, 30_000)).map(textOf)).toEqual(["last"]);
    },
    120_000,
  );
});
