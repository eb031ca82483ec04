import { expect, test } from "vitest";
import { readDeadLetter } from "../../../src/dead-letters/read-dead-letter.js";
import { ScriptedDelivery } from "../../support/scripted-delivery.js";

const read = (headers: Record<string, string>, properties = {}) => readDeadLetter(new ScriptedDelivery({ headers, properties }), "audit");

test("a letter that the broker or somebody else put there is told as such", () => {
  expect(read({ "x-death": "expired" })).toEqual({
    messageId: "",
    messageType: undefined,
    body: new Uint8Array(),
    headers: { "x-death": "expired" },
    failure: {
      reason: "unknown",
      endpoint: "audit",
      source: undefined,
      errorName: undefined,
      errorMessage: undefined,
      stack: undefined,
      attempts: 0,
      firstFailedAt: undefined,
      lastFailedAt: undefined,
    },
  });
});

test("what makes no sense is left out", () => {
  const { failure } = read({
    "tb-reason": "__proto__",
    "tb-attempts": "-5",
    "tb-first-failed-at": "+300000-01-01T00:00:00.000Z",
    "tb-last-failed-at": "now",
  });
  expect(failure).toMatchObject({ reason: "unknown", attempts: 0, firstFailedAt: undefined, lastFailedAt: undefined });
});

test.each(["failed", "timed-out", "invalid", "undecodable", "no-consumer", "too-large", "crashed"])("the reason %s is read", (reason) => {
  expect(read({ "tb-reason": reason }).failure.reason).toBe(reason);
});
