import { expect, test } from "vitest";
import { TrolleybusError } from "../../../src/index.js";
import { Mistakes } from "../../../src/util/mistakes.js";

test("without mistakes nothing is thrown", () => {
  const mistakes = new Mistakes();
  mistakes.unknownKeys("the bus", { service: 1 }, ["service"]);
  expect(() => mistakes.throwIfAny("No")).not.toThrow();
});

test("one is told in a line, several in a list", () => {
  const mistakes = new Mistakes();
  mistakes.add("a is wrong.");
  expect(() => mistakes.throwIfAny("It cannot be made")).toThrow(
    new TrolleybusError("configuration", "It cannot be made: a is wrong.", { cause: undefined, retryable: false }),
  );
  mistakes.add("b is wrong.");
  expect(() => mistakes.throwIfAny("It cannot be made")).toThrow("It cannot be made:\n  - a is wrong.\n  - b is wrong.");
});

test.each([
  ["concurency", 'did you mean "concurrency"?'],
  ["Prefetch", 'did you mean "prefetch"?'],
  ["retrys", 'did you mean "retry"?'],
  ["handler_timeout", 'did you mean "handlerTimeout"?'],
  ["colour", "It knows: concurrency, prefetch, retry, handlerTimeout."],
])("an unknown %s gets a suggestion where there is one", (key, told) => {
  const mistakes = new Mistakes();
  mistakes.unknownKeys("endpoint", { [key]: 1 }, ["concurrency", "prefetch", "retry", "handlerTimeout"]);
  expect(mistakes.all).toEqual([expect.stringContaining(`endpoint has no option "${key}"`)]);
  expect(mistakes.all[0]).toContain(told);
});

test("an option that is to be text is taken when it is, and noted when it is anything else or empty", () => {
  const mistakes = new Mistakes();
  expect([mistakes.text("a", "x"), mistakes.text("b", undefined)]).toEqual(["x", undefined]);
  expect(mistakes.any).toBe(false);
  expect([mistakes.text("c", ""), mistakes.text("d", 7)]).toEqual([undefined, undefined]);
  expect(mistakes.all).toEqual(["c must be text that is not empty.", "d must be text that is not empty."]);
});
