import { expect, test } from "vitest";
import type { RecordContent } from "../../transports/kafka/driver.js";
import { decodeRecords } from "../../transports/kafka/record-decoder.js";
import { encodeRecords } from "../../transports/kafka/record-encoder.js";

const plain: RecordContent = { key: null, value: Buffer.from("{}"), headers: {} };

function decoded(bytes: Buffer, count: number, from = 0) {
  return decodeRecords({ bytes, count, baseOffset: 100, timestamp: 1_000, isTimeOfAll: false }, "orders", 3, from);
}

function roundTrip(records: readonly RecordContent[]) {
  return decoded(encodeRecords(records), records.length);
}

test("records are read as they were written", () => {
  const records: RecordContent[] = [
    plain,
    { ...plain, key: Buffer.from("customer-1"), headers: { "message-id": Buffer.from("1"), größe: Buffer.from("zwölf ✓") } },
    { ...plain, key: Buffer.alloc(0), value: Buffer.alloc(0) },
    { ...plain, value: null, headers: { several: [Buffer.from("1"), Buffer.from("2"), Buffer.from("3")], one: Buffer.from("1") } },
    { ...plain, value: Buffer.alloc(70_000, "x") },
  ];
  const read = roundTrip(records);
  expect(read.map(({ key, value, headers }) => ({ key, value, headers }))).toEqual(records);
  expect(read.map(({ topic, partition, offset, timestamp }) => [topic, partition, offset, timestamp])).toEqual(
    records.map((_, i) => ["orders", 3, 100 + i, 1_000]),
  );
});

test("names of headers that every object knows are names like others", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
  const headers = Object.fromEntries(names.map((name) => [name, [Buffer.from("1"), Buffer.from("2")]]));
  const [record] = roundTrip([{ ...plain, headers }]);
  expect(Object.keys(record?.headers ?? {})).toEqual(names);
  expect(Object.entries(record?.headers ?? {})).toEqual(Object.entries(headers));
  expect(Object.getPrototypeOf(record?.headers)).toBe(Object.prototype);
});

test("names of headers are those of each record, wherever they stand in those before", () => {
  const named = (...names: readonly string[]): RecordContent => ({
    ...plain,
    headers: Object.fromEntries(names.map((name) => [name, Buffer.from(`of ${name}`)])),
  });
  const records = [named("a", "b"), named("b", "a"), named("ab", "a"), named("a", "ab", "b"), named("a", "b")];
  expect(roundTrip(records).map(({ headers }) => Object.keys(headers))).toEqual(records.map(({ headers }) => Object.keys(headers)));
});

test("what lies before the offset that was asked for is left out", () => {
  const bytes = encodeRecords([plain, plain, plain]);
  expect(decoded(bytes, 3, 101).map(({ offset }) => offset)).toEqual([101, 102]);
  expect(decoded(bytes, 3, 103)).toEqual([]);
});

// Attributes, difference of time, difference of offset, key, value, headers; all of them written by hand.
test("gaps of a compacted log, times before and after that of the first, and a header without a value are read", () => {
  const record = (...bytes: readonly number[]): readonly number[] => [bytes.length * 2, ...bytes];
  const bytes = Buffer.from([...record(0, 0, 2, 1, 1, 2, 2, 104, 1), ...record(0, 3, 10, 1, 1, 0), ...record(0, 0xd0, 0x0f, 12, 1, 1, 0)]);
  const read = decoded(bytes, 3);
  expect(read.map(({ offset, timestamp }) => [offset, timestamp])).toEqual([
    [101, 1_000],
    [105, 998],
    [106, 2_000],
  ]);
  expect(read[0]?.headers).toEqual({ h: Buffer.alloc(0) });
  const all = decodeRecords({ bytes, count: 3, baseOffset: 100, timestamp: 5, isTimeOfAll: true }, "orders", 3, 0);
  expect(all.map(({ timestamp }) => timestamp)).toEqual([5, 5, 5]);
});

test("a damaged batch is refused wherever it ends, and never read beyond", () => {
  const bytes = encodeRecords([{ key: Buffer.from("k"), value: Buffer.from("value"), headers: { a: Buffer.from("b") } }, plain]);
  for (let length = 0; length < bytes.length; length++) expect(() => decoded(bytes.subarray(0, length), 2)).toThrow(RangeError);
  // A value that claims to be longer than its record.
  expect(() => decoded(Buffer.from([12, 0, 0, 0, 1, 40, 0, ...Buffer.alloc(40)]), 1)).toThrow(RangeError);
});
