import { expect, test } from "vitest";
import type { Envelope } from "../../../src/contracts/wire-format.js";
import { Run } from "../../../src/pipeline/run.js";
import { ScriptedDelivery } from "../../support/scripted-delivery.js";

const envelope: Envelope = {
  messageId: "m1",
  messageType: "shop.placed",
  source: "elsewhere",
  sentAt: new Date("2026-01-01"),
  correlationId: "correlation",
  conversationId: "conversation",
  causationId: "cause",
  partitionKey: "key",
  traceparent: "trace",
  tracestate: "state",
  data: {},
};

function run(headers: Record<string, string> = {}) {
  const delivery = new ScriptedDelivery({ headers });
  const lost: Run[] = [];
  const made = new Run({ message: {}, envelope, delivery }, "shop", 2, {} as never, "transaction", (one) => void lost.push(one));
  return { made, delivery, lost };
}

test("a run tells what its message brought", () => {
  const { made } = run({ tenant: "t", "tb-attempts": "1" });
  const { message, messageId, messageType, correlationId, conversationId, causationId, partitionKey, sentAt, traceparent, tracestate } =
    made;
  expect({
    message,
    messageId,
    messageType,
    correlationId,
    conversationId,
    causationId,
    partitionKey,
    sentAt,
    traceparent,
    tracestate,
  }).toEqual({
    message: {},
    ...Object.fromEntries(Object.entries(envelope).filter(([name]) => name !== "source" && name !== "data")),
  });
  expect([made.endpoint, made.attempt, made.transaction, made.headers]).toEqual(["shop", 2, "transaction", { tenant: "t" }]);
  expect(made.headers).toBe(made.headers);
});

test("equals are counted, each by itself", () => {
  const { made } = run();
  expect(["a", "b", "a", "a", "b"].map((fingerprint) => made.countEqual(fingerprint))).toEqual([0, 0, 1, 2, 1]);
});

test("it ends with its handler, or with what ends it from outside, whichever is first; the handler's end is told in both cases", async () => {
  const ended: string[] = [];
  const first = run().made;
  await first.race(Promise.resolve(), () => ended.push("first"));
  expect(first.phase).toBe("succeeded");
  first.abort(new Error("too late"));
  expect([first.phase, first.signal.aborted]).toEqual(["succeeded", false]);

  const second = run().made;
  let end: (() => void) | undefined;
  const racing = second.race(new Promise((resolve) => (end = resolve)), () => ended.push("second"));
  second.abort(new Error("over time"));
  await expect(racing).rejects.toThrow("over time");
  expect([second.phase, second.signal.aborted, ended]).toEqual(["failed", true, ["first"]]);
  expect(second.signal.reason).toMatchObject({ message: "over time" });
  end?.();
  await Promise.resolve();
  expect([second.phase, ended]).toEqual(["failed", ["first", "second"]]);
});

test("the loss of its delivery is told when somebody has looked at the signal, and not after the end", async () => {
  const unseen = run();
  unseen.delivery.lose();
  expect(unseen.lost).toEqual([]);

  const seen = run();
  void seen.made.signal;
  seen.delivery.lose();
  expect(seen.lost).toEqual([seen.made]);

  const over = run();
  void over.made.signal;
  await over.made.race(Promise.resolve(), () => {});
  over.delivery.lose();
  expect(over.lost).toEqual([]);

  const already = run();
  already.delivery.lose();
  void already.made.signal;
  expect(already.lost).toEqual([already.made]);
});
