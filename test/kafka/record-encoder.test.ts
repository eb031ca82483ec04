import { createRequire } from "node:module";
import { expect, test } from "vitest";
import type { RecordContent } from "../../transports/kafka/driver.js";
import { encodeRecords } from "../../transports/kafka/record-encoder.js";
import { describeWithKafka } from "../support/brokers.js";
import { eventually } from "./support/eventually.js";
import { Bench } from "./support/port.js";

type EncodeOne = (record: RecordContent & { readonly offsetDelta: number }) => { readonly buffer: Buffer };
const encodeOne = createRequire(import.meta.url)("kafkajs/src/protocol/recordBatch/record/v0") as EncodeOne;

function asKafkajs(records: readonly RecordContent[]): Buffer {
  return Buffer.concat(records.map((record, offsetDelta) => encodeOne({ ...record, offsetDelta }).buffer));
}

const plain: RecordContent = { key: null, value: Buffer.from("{}"), headers: {} };
const headers = {
  "message-id": "01J9ZK3V7Q8W4X5Y6Z7A8B9C0D",
  größe: "zwölf ✓",
  empty: "",
  bytes: Buffer.from([0, 255, 128]),
  several: ["one", Buffer.from("two"), "one"],
  none: [],
};

test.each<[string, readonly RecordContent[]]>([
  ["a record", [plain]],
  ["a key", [{ ...plain, key: Buffer.from("customer-1") }]],
  ["an empty key and value", [{ ...plain, key: Buffer.alloc(0), value: Buffer.alloc(0) }]],
  ["a tombstone", [{ ...plain, key: Buffer.from("k"), value: null }]],
  ["headers of all kinds", [{ ...plain, headers }]],
  [
    "values around the sizes at which a number takes a byte more",
    [62, 63, 64, 65, 8_190, 8_192, 1_048_575].map((n) => ({ ...plain, value: Buffer.alloc(n, "x") })),
  ],
  [
    "more records than a number of one byte can count",
    Array.from({ length: 300 }, (_, i) => ({ ...plain, value: Buffer.from(`${i}`), headers })),
  ],
  ["many headers", [{ ...plain, headers: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`h${i}`, `${i}`])) }]],
])("%s is written as kafkajs writes it", (_, records) => {
  expect(encodeRecords(records).equals(asKafkajs(records))).toBe(true);
});

describeWithKafka("encoded records", ({ brokers }) => {
  test.each(["none", "gzip"] as const)("another client reads what was sent with compression %s", async (compression) => {
    const bench = new Bench(brokers);
    await bench.makeTopic("things", 2);
    const { KafkajsProducer } = await import("../../transports/kafka/kafkajs-producer.js");
    const { kafkajsHome } = await import("../../transports/kafka/kafkajs-home.js");
    const { resolveOptions } = await import("../../transports/kafka/options.js");
    const kafkajs = await import("kafkajs");
    const quiet = (): void => {};
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const producer = new KafkajsProducer(kafkajsHome(kafkajs, resolveOptions({ brokers, compression }), "tests", logger));
    await producer.connect();
    const topic = `${bench.namePrefix}things`;
    const record = (text: string): RecordContent => ({
      key: Buffer.from(text),
      value: Buffer.from(`value of ${text}`),
      headers: { of: text },
    });
    // Two requests at one time, of two partitions each: every record must be found where it belongs.
    const requests = ["a", "b"].map((name) =>
      producer.produce(
        [0, 1].map((partition) => ({
          topic,
          partition,
          records: [1, 2, 3].map((n) => record(`${name}${partition}${n}`)),
          isOversized: false,
        })),
        10_000,
      ),
    );
    await Promise.all(requests);
    await producer.disconnect();

    await eventually("all to be stored", async () => (await bench.stored("things")).length === 12);
    for (const { headers: found, key, partition, value } of await bench.stored("things")) {
      expect(key?.[1]).toBe(String(partition));
      expect(value).toBe(`value of ${key}`);
      expect(found["of"]).toBe(key);
    }
  });
});
