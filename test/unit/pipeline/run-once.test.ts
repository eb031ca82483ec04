import { createHook } from "node:async_hooks";
import { afterEach, expect, test } from "vitest";
import type { Bus, BusOptions, ConsumeContext } from "../../../src/index.js";
import { FakeStore } from "../../support/fake-store.js";
import type { ScriptedDelivery } from "../../support/scripted-delivery.js";
import { SENT } from "../../support/scripted-transport.js";
import { Placed, Shipped, type TestBus, testBus } from "../../support/test-bus.js";
import { settled } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

async function started(
  consume: (message: Placed, context: ConsumeContext) => Promise<void> | void,
  options: Partial<BusOptions> = {},
): Promise<TestBus> {
  const made = testBus({ retry: false, ...options });
  buses.push(made.bus);
  made.bus.subscribe(Placed, consume);
  await made.bus.start();
  return made;
}

const deliver = ({ transport }: TestBus, n = 1): ScriptedDelivery =>
  transport.deliverMessage("shop", "shop.placed", { n }, { messageId: `m${n}` });

test("a handler that ends at once runs before the next message is looked at, and nothing is settled within the call that delivers", async () => {
  const order: string[] = [];
  const made = await started(({ n }) => void order.push(`run ${n}`), { concurrency: 1, prefetch: 10 });
  const deliveries = [deliver(made, 1)];
  expect(order).toEqual(["run 1"]);
  await settled();
  // The first ones wait for a look at what those before them computed.
  deliveries.push(deliver(made, 2), deliver(made, 3));
  expect(order).toEqual(["run 1", "run 2", "run 3"]);
  expect(deliveries.slice(1).map(({ answer }) => answer)).toEqual([undefined, undefined]);
  await settled();
  expect(deliveries.map(({ answer }) => answer?.verb)).toEqual(["complete", "complete", "complete"]);
});

test("what a handler that ends at once has published is confirmed before its message is settled, and dropped when it throws", async () => {
  const order: string[] = [];
  const made = await started(({ n }, context) => {
    void context.publish(new Shipped(n));
    if (n === 2) throw new Error("no");
  });
  made.transport.onSend = (messages) => {
    order.push(`sent ${messages.length}`);
    return messages.map(() => SENT);
  };
  made.transport.onAnswer = ({ answer }) => order.push(answer?.verb ?? "");
  await deliver(made, 1).answered;
  await deliver(made, 2).answered;
  expect(order).toEqual(["sent 1", "complete", "deadLetter"]);
  expect(made.bus.health().publisher.pending).toBe(0);
});

test("a handler that ends at once, but saw that its message was lost, does not count", async () => {
  let lose = (): void => {};
  const made = await started(
    ({ n }, { signal }) => {
      if (n === 1) return settled();
      lose();
      expect(signal.aborted).toBe(true);
      return undefined;
    },
    { concurrency: 1, prefetch: 2 },
  );
  const first = deliver(made, 1);
  const lost = deliver(made, 2);
  lose = () => lost.lose();
  expect((await lost.answered).verb).toBe("release");
  expect((await first.answered).verb).toBe("complete");
  await settled();
  expect(made.bus.health().endpoints[0]).toMatchObject({ strays: 0, counts: { handled: 1, stale: 1 } });
});

test("a store that throws instead of rejecting is in trouble like any other: the message waits for it and loses no attempt", async () => {
  const store = new FakeStore();
  const claim = store.claim.bind(store);
  const thrown: string[] = [];
  store.claim = (request) => {
    if (thrown.push("claim") === 1) throw new Error("down");
    return claim(request).then((answer) => {
      if (answer.state !== "mine" || thrown.includes("done")) return answer;
      const done = (): never => {
        thrown.push("done");
        store.claimedIds.delete(request.messageId);
        throw new Error("down");
      };
      return { state: "mine", lease: { ...answer.lease, done } };
    });
  };
  const attempts: number[] = [];
  const made = await started((_, { attempt }) => void attempts.push(attempt), { store });
  expect((await deliver(made).answered).verb).toBe("complete");
  expect(attempts).toEqual([1]);
  expect(store.doneIds.has("m1")).toBe(true);
  expect(made.bus.health().status).toBe("up");
});

test("a message whose handler ends at once takes few promises, for each costs as much as a lookup in the store", async () => {
  const made = await started(() => undefined);
  // Of the first ones each waits for the one before it, until they have shown that they compute little.
  for (let n = 1_000; n < 1_040; n++) deliver(made, n);
  await settled();
  let promises = 0;
  const hook = createHook({
    init(_, type) {
      if (type === "PROMISE") promises++;
    },
  }).enable();
  // A few in each turn of the event loop: those that a slow machine does not get done in one wait for the next, with a promise.
  for (let n = 0; n < 100; n++) {
    deliver(made, n);
    if (n % 20 === 19) await settled();
  }
  hook.disable();
  expect(made.bus.health().endpoints[0]?.counts.handled).toBe(140);
  // One of them is the scripted delivery's own, and some are of the test.
  expect(promises / 100).toBeLessThan(4);
});

test("handlers that compute when their claims come in together begin in a turn of the event loop each", async () => {
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const at: number[] = [];
  const compute = (): void => {
    at.push(turns);
    for (const until = performance.now() + 60; performance.now() < until; );
  };
  const store = new FakeStore();
  const made = await started(compute, { store });
  await Promise.all([1, 2, 3].map((n) => deliver(made, n).answered));
  clearImmediate(counting);
  expect(new Set(at).size).toBe(3);
});
