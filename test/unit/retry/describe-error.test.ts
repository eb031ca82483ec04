import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { describeError } from "../../../src/retry/describe-error.js";

const UNTOLD = "(it cannot be told: reading it throws)";

class OutOfStock extends Error {
  override readonly name = "OutOfStock";
}
const cyclic: Record<string, unknown> = {};
cyclic["self"] = cyclic;
const hostile = Object.create(Error.prototype, { name: { get: fail }, message: { get: fail }, stack: { get: fail } });
function fail(): never {
  throw new Error("a getter that throws");
}
const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

// Behind functions, for the title of a test is made of its values.
const thrown: [what: string, thrown: () => unknown, name: string, message: string][] = [
  ["an error", () => new OutOfStock("none left"), "OutOfStock", "none left"],
  ["an error of another realm", () => runInNewContext('new TypeError("far away")'), "TypeError", "far away"],
  ["an error whose name is no text", () => Object.assign(new Error("x"), { name: 5 }), "Error", "x"],
  ["a frozen error", () => Object.freeze(new Error("cold")), "Error", "cold"],
  ["text", () => "no", "string", "no"],
  ["null", () => null, "null", "null"],
  ["undefined", () => undefined, "undefined", "undefined"],
  ["a number", () => 42, "number", "42"],
  ["a BigInt", () => 42n, "bigint", "42"],
  ["a symbol", () => Symbol("s"), "symbol", "Symbol(s)"],
  ["an object", () => ({ code: 500 }), "object", '{"code":500}'],
  ["a cyclic object", () => cyclic, "object", UNTOLD],
  ["an object whose toJSON says nothing", () => ({ toJSON: () => undefined }), "object", ""],
  ["an object without a prototype", () => Object.create(null), "object", "{}"],
  ["an error whose getters throw", () => hostile, UNTOLD, UNTOLD],
  ["a revoked proxy", revoked, "object", UNTOLD],
];

test.each(thrown)("%s can be described", (_, value, name, message) => {
  expect(describeError(value())).toMatchObject({ name, message });
});

test("only errors have a stack", () => {
  expect(describeError(new OutOfStock("x")).stack).toContain("describe-error.test.ts");
  expect(describeError({ stack: "pretended" }).stack).toBeUndefined();
});
