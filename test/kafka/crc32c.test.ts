import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { crc32c } from "../../transports/kafka/crc32c.js";

const asKafkajs = createRequire(import.meta.url)("kafkajs/src/protocol/recordBatch/crc32C/crc32C.js") as (bytes: Buffer) => number;
const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, i) => (i * 7_919) >> 3));

test("the checksum is that of the standard", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(0))).toBe(0);
});

test("the checksum is that of kafkajs, however long the bytes are and wherever they begin", () => {
  for (let from = 0; from < 20; from++) {
    for (let to = from; to < from + 40; to++) expect(crc32c(bytes.subarray(from, to))).toBe(asKafkajs(bytes.subarray(from, to)));
  }
  expect(crc32c(bytes)).toBe(asKafkajs(bytes));
});

test("the checksum of bytes that come in parts is that of the whole", () => {
  for (const at of [0, 1, 7, 8, 9, 500, 999, 1_000]) expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(crc32c(bytes));
});
