import { expect, test } from "vitest";
import type { IncomingRecord } from "../../transports/kafka/driver.js";
import { detached, sizeOf } from "../../transports/kafka/record-memory.js";

const record = (more: Partial<IncomingRecord>): IncomingRecord => ({
  topic: "t",
  partition: 0,
  offset: 0,
  timestamp: 0,
  key: null,
  value: null,
  headers: {},
  ...more,
});

test("a record counts with its key, its value and its headers, of whatever form", () => {
  const nothing = sizeOf(record({}));
  expect(nothing).toBeGreaterThan(0);
  expect(sizeOf(record({ key: Buffer.alloc(10), value: Buffer.alloc(1_000) })) - nothing).toBe(1_010);
  const headers = { stack: Buffer.alloc(4_000), text: "12345", several: [Buffer.alloc(100), "678"] };
  expect(sizeOf(record({ headers })) - nothing).toBe(4_108);
});

test("a copy that waits keeps nothing of the fetch in memory", () => {
  const fetch = new Uint8Array(1_000);
  const part = Buffer.from(fetch.buffer, 10, 20);
  const copy = detached(record({ key: part, value: part, headers: { one: part, several: [part, "text"] } }));
  const parts = [copy.key, copy.value, copy.headers["one"], ...(copy.headers["several"] as readonly (Buffer | string)[])];
  for (const each of parts) if (Buffer.isBuffer(each)) expect(each.buffer).not.toBe(fetch.buffer);
  expect(copy).toEqual(record({ key: part, value: part, headers: { one: part, several: [part, "text"] } }));
});
