import { describe, expect, test } from "vitest";
import { InvalidMessageError } from "../../../src/errors.js";
import { encodeJson, MAX_JSON_DEPTH, parseJson } from "../../../src/wire/safe-json.js";
import { UndecodableError } from "../../../src/wire/undecodable-error.js";

const nested = (levels: number, open: string, close: string, inside = ""): string => open.repeat(levels) + inside + close.repeat(levels);

describe("reading", () => {
  test.each([
    '{"a":1}',
    "[]",
    "null",
    '"text"',
    '{"a":"__proto__","b":["constructor"]}',
    '{"a":"say \\"__proto__\\": yes"}',
    '{"a\\u005fb":1,"c\\u0000":2}',
    '{"prototype":1,"__proto":2,"Constructor":3,"constructors":4}',
    '{"":{"":[]}}',
  ])("%s is what JSON.parse makes of it", (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  test.each([
    '{"__proto__":{"polluted":1}}',
    '{"a":[{"b":{"__proto__":null}}]}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '[[["x",{"constructor":1}]]]',
    '{"\\u005f_proto__":1}',
    '{"__proto\\u005F_":1}',
    '{"\\u005f\\u005f\\u0070\\u0072\\u006f\\u0074\\u006f\\u005f\\u005f":1}',
    '{"\\u0063onstructor":1}',
    '{"constructo\\u0072":1}',
    '{"a":"__proto__", "__proto__" : 1}',
  ])("%s is refused for its key", (text) => {
    expect(() => parseJson(text)).toThrow(UndecodableError);
    expect(() => parseJson(text)).toThrow(/__proto__|constructor/);
  });

  test.each(["", " ", "{", '{"a":}', "undefined", "NaN", "{'a':1}", '{"a":1}{"b":2}', '"\ud800', "01", '{"a":"\n"}'])(
    "%j is refused as no JSON",
    (text) => {
      expect(() => parseJson(text)).toThrow(UndecodableError);
      expect(() => parseJson(text)).toThrow("not JSON");
    },
  );

  test("the text of a broken body is not in the error's text, for it may be confidential", () => {
    const error = catching(() => parseJson('{"iban": DE89370400440532013000}'));
    expect(error.message).not.toContain("DE89");
    expect(error.cause).toBeInstanceOf(SyntaxError);
  });

  test(`${MAX_JSON_DEPTH} levels are read, one more is refused, 200,000 are refused quickly`, () => {
    expect(() => parseJson(nested(MAX_JSON_DEPTH, "[", "]"))).not.toThrow();
    expect(() => parseJson(nested(MAX_JSON_DEPTH + 1, "[", "]"))).toThrow("deeper than 1000");
    expect(() => parseJson(nested(MAX_JSON_DEPTH / 2, '{"a":[', "]}"))).not.toThrow();
    expect(() => parseJson(nested(MAX_JSON_DEPTH / 2 + 1, '{"a":[', "]}"))).toThrow("deeper than 1000");
    expect(() => parseJson(nested(200_000, "[", "]"))).toThrow("deeper than 1000");
    expect(() => parseJson(nested(500_000, '{"a":', "}", "1"))).toThrow("deeper than 1000");
    expect(() => parseJson("[".repeat(1_000_000))).toThrow(UndecodableError);
  });

  test("brackets in text and brackets side by side are no depth", () => {
    expect(() => parseJson(JSON.stringify({ text: '[{\\"['.repeat(5000) }))).not.toThrow();
    expect(() => parseJson(JSON.stringify(Array.from({ length: 5000 }, () => [{}])))).not.toThrow();
    expect(() => parseJson(JSON.stringify({ a: "\\", b: nested(2000, "[", "]"), c: '\\"' }))).not.toThrow();
  });

  test("a refused key deep in a large document is found without recursion", () => {
    const text = `{"list":${nested(900, "[", "]", '{"__proto__":1}')},"wide":[${"{},".repeat(50_000)}{}]}`;
    expect(() => parseJson(text)).toThrow("__proto__");
  });
});

describe("writing", () => {
  test("text is what JSON.stringify makes", () => {
    const data = { a: 1, b: [null, "ü🚎", "\ud800"], at: new Date(0), gone: undefined, nested: { toJSON: () => "made" } };
    expect(encodeJson(data)).toBe(JSON.stringify(data));
  });

  test.each([
    [{ order: { lines: [{ price: 1 }, { price: 2n }] } }, '"order.lines[1].price" is a BigInt'],
    [5n, "it is a BigInt"],
    [undefined, "gives nothing for undefined"],
    [() => 1, "gives nothing for a function"],
    [{ toJSON: () => undefined }, "gives nothing for an object"],
    [JSON.parse('{"a":{"__proto__":1}}'), '"__proto__"'],
    [{ list: [{ constructor: 1 }] }, '"constructor"'],
    [new Map([["x", 1]]).set("y", 2) && { toJSON: () => JSON.parse('{"__proto__":1}') }, '"__proto__"'],
  ])("%# is refused with its reason", (data, why) => {
    expect(() => encodeJson(data)).toThrow(InvalidMessageError);
    expect(() => encodeJson(data)).toThrow(why);
  });

  test("a cycle is refused and its place is named", () => {
    const data: { order: { parent?: unknown } } = { order: {} };
    data.order.parent = data;
    expect(() => encodeJson(data)).toThrow(InvalidMessageError);
    expect(() => encodeJson(data)).toThrow(/parent/);
  });

  test("a BigInt beside a cycle is still found", () => {
    const data: Record<string, unknown> = { id: 1n };
    data["self"] = data;
    expect(() => encodeJson(data)).toThrow('"id" is a BigInt');
  });

  test("what a getter or toJSON throws becomes the cause", () => {
    const cause = new Error("the getter failed");
    const data = {
      get price(): number {
        throw cause;
      },
    };
    expect(catching(() => encodeJson(data))).toMatchObject({ name: "InvalidMessageError", code: "invalid-message", cause });
  });

  test("text that only looks like a refused key is sent", () => {
    const data = { a: '"__proto__":', b: '{"constructor":1}', '"__proto__': 1, '"constructor': 2, x__proto__: 3 };
    expect(JSON.parse(encodeJson(data))).toEqual(data);
  });

  test("what is nested too deep for a receiver is refused, as is what JSON cannot write at all", () => {
    const deep = (levels: number): unknown => Array.from({ length: levels }).reduce<unknown>((inside) => [inside], 1);
    expect(() => encodeJson(deep(MAX_JSON_DEPTH - 10))).not.toThrow();
    expect(() => encodeJson(deep(MAX_JSON_DEPTH - 9))).toThrow("nested deeper than 990");
    expect(() => encodeJson(deep(200_000))).toThrow(InvalidMessageError);
  });

  test("whatever is written can be read", () => {
    const data = { nested: JSON.parse(nested(MAX_JSON_DEPTH - 11, "[", "]")) as unknown, text: "__proto__ constructor \u0000" };
    expect(parseJson(encodeJson(data))).toEqual(data);
  });
});

function catching(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}
