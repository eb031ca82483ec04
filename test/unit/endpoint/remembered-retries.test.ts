import { expect, test } from "vitest";
import { RememberedRetries } from "../../../src/endpoint/remembered-retries.js";

const standing = (attempts: number) => ({ history: { attempts, round: 1, firstFailedAt: undefined }, atOnce: 0, dueAt: 5 });

test("what is remembered of a message is recalled once", () => {
  const remembered = new RememberedRetries();
  remembered.remember("m1", standing(3));
  expect(remembered.recall("m2")).toBeUndefined();
  expect(remembered.recall("m1")).toEqual(standing(3));
  expect(remembered.recall("m1")).toBeUndefined();
});

test("the latest standing counts", () => {
  const remembered = new RememberedRetries();
  remembered.remember("m1", standing(3));
  remembered.remember("m1", standing(4));
  expect(remembered.recall("m1")).toEqual(standing(4));
});

test("at most 10,000 are remembered: the oldest are forgotten", () => {
  const remembered = new RememberedRetries();
  for (let i = 0; i <= 10_000; i++) remembered.remember(`m${i}`, standing(i));
  expect(remembered.recall("m0")).toBeUndefined();
  expect(remembered.recall("m1")).toEqual(standing(1));
  expect(remembered.recall("m10000")).toEqual(standing(10_000));
});
