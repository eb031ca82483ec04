import { describe, expect, test } from "vitest";
import { DecodeError } from "../../src/amqp/amqp-error.js";
import { Decoder, decodeValue } from "../../src/amqp/decoder.js";
import { encodeValue } from "../../src/amqp/encoder.js";
import {
  type AmqpValue,
  array,
  described,
  double,
  int,
  long,
  map,
  stringMap,
  symbol,
  symbolMap,
  timestamp,
  uint,
  ulong,
  uuid,
} from "../../src/amqp/values.js";

const VALUES: Readonly<Record<string, AmqpValue>> = {
  null: null,
  true: true,
  false: false,
  "an empty string": "",
  "a short string": "grüße",
  "a long string": "ü".repeat(300),
  "a short binary": Buffer.from([0, 1, 255]),
  "a long binary": Buffer.alloc(70_000, 7),
  ubyte: { type: "ubyte", value: 255 },
  ushort: { type: "ushort", value: 65_535 },
  "uint 0": uint(0),
  "uint 255": uint(255),
  "the largest uint": uint(4_294_967_295),
  byte: { type: "byte", value: -128 },
  short: { type: "short", value: -32_768 },
  "a small int": int(-1),
  "a large int": int(-2_147_483_648),
  "a small long": long(-128n),
  "a long beyond 2^53": long(9_007_199_254_740_993n),
  "the smallest long": long(-9_223_372_036_854_775_808n),
  "ulong 0": ulong(0n),
  "the largest ulong": ulong(18_446_744_073_709_551_615n),
  "a float": { type: "float", value: 0.5 },
  "a double without a fraction": double(3),
  char: { type: "char", value: 0x1f600 },
  timestamp: timestamp(1_700_000_000_123),
  "a timestamp before 1970": timestamp(-1n),
  uuid: uuid(Buffer.from("00112233445566778899aabbccddeeff", "hex")),
  decimal32: { type: "decimal32", value: Buffer.from("01020304", "hex") },
  decimal128: { type: "decimal128", value: Buffer.alloc(16, 3) },
  symbol: symbol("com.microsoft:timeout"),
  "an empty list": [],
  "a list": [int(1), "two", [null, true]],
  "a map": map([
    [symbol("a"), int(1)],
    ["b", [long(2n)]],
  ]),
  "a map of strings": stringMap({ a: double(1.5), b: Buffer.from("x") }),
  "a map of symbols": symbolMap({ a: null }),
  "a described value": described(ulong(0x70n), [true]),
  "an array of longs": array("long", [long(1n), long(-1n)]),
  "an array of UUIDs": array("uuid", [uuid(Buffer.alloc(16, 1)), uuid(Buffer.alloc(16, 2))]),
  "an array of symbols": array("symbol", [symbol("a"), symbol("bc")]),
  "an array of strings": array("string", ["a", ""]),
  "an array of lists": array("list", [[int(1)], []]),
  "an array of maps": array("map", [stringMap({ a: int(1) })]),
  "an array of described values": { type: "array", of: "list", items: [["x"]], descriptor: symbol("my:type") },
};

describe("values", () => {
  test.each(Object.entries(VALUES))("%s is the same after writing and reading", (_, value) => {
    const bytes = encodeValue(value);
    expect(decodeValue(bytes)).toEqual(value);
  });

  test.each(Object.entries(VALUES))("%s can be passed over without reading it", (_, value) => {
    const decoder = new Decoder(Buffer.concat([encodeValue(value), encodeValue("next")]));
    decoder.skipValue();
    expect(decoder.readValue()).toBe("next");
    expect(decoder.atEnd).toBe(true);
  });

  test.each(Object.entries(VALUES))("%s is refused wherever it is cut off", (_, value) => {
    const bytes = encodeValue(value);
    for (let length = 0; length < Math.min(bytes.length, 300); length++) {
      expect(() => decodeValue(bytes.subarray(0, length))).toThrow(DecodeError);
      expect(() => new Decoder(bytes.subarray(0, length)).skipValue()).toThrow(DecodeError);
    }
  });
});

describe("bytes that are no AMQP", () => {
  test("are refused with a decode error whatever they are", () => {
    let seed = 1;
    const random = (): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed >> 8;
    };
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(Array.from({ length: 1 + (random() % 40) }, random));
      try {
        decodeValue(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
  });

  test("do not exhaust the stack when they nest lists without end", () => {
    const nested = Buffer.alloc(100_000, 0x00);
    expect(() => decodeValue(nested)).toThrow(/nested/);
    expect(() => new Decoder(nested).skipValue()).toThrow(/nested/);
  });

  test("do not exhaust the memory when an array announces elements that have no bytes", () => {
    expect(() => decodeValue(Buffer.from("f000000005ffffffff40", "hex"))).toThrow(/announces 4294967295/);
  });

  test("are refused when the size of a list does not fit its elements", () => {
    expect(() => decodeValue(Buffer.from("c00302415640", "hex"))).toThrow(DecodeError);
    expect(() => decodeValue(Buffer.from("c0050141404040", "hex"))).toThrow(/does not fit/);
  });
});
