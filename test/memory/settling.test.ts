import { beforeEach, expect, test } from "vitest";
import type { Delivery, Transport } from "../../src/contracts/transport.js";
import { memory } from "../../transports/memory/index.js";
import {
  at,
  completingInbox,
  connect,
  endpoint,
  Inbox,
  message,
  receive,
  receiveDeadLetters,
  sendCommands,
  sendOne,
  settledLoop,
} from "./harness.js";

const orders = endpoint("orders");
let bus: Transport;

beforeEach(async () => {
  bus = await connect(memory());
  await bus.provision({ events: [], endpoints: [orders] }, "create");
});

test("a completed message does not come again", async () => {
  const inbox = new Inbox();
  const receiver = await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ["1"]);
  const [delivery] = await inbox.received(1);
  expect(delivery?.complete()).toBe("settled");
  await receiver.close(performance.now());
  const later = completingInbox();
  await receive(bus, orders, later);
  await settledLoop();
  expect(later.ids).toEqual([]);
});

test("a retry brings the same body and properties, the headers, and the failure in place of an earlier one", async () => {
  const inbox = new Inbox();
  await receive(bus, orders, inbox);
  const sent = message({ endpoint: "orders" }, "1", { headers: { tenant: "a", "tb-attempts": "1", "tb-old": "kept" }, key: "k" });
  await sendOne(bus, sent);
  await inbox.received(1);
  expect(await at(inbox.deliveries, 0).retry(20, { "tb-attempts": "2", "tb-reason": "failed" })).toBe("settled");
  await inbox.received(2);
  const again = at(inbox.deliveries, 1);
  expect(again.body).toEqual(sent.body);
  expect(again.properties).toEqual(sent.properties);
  expect(again.headers).toEqual({ tenant: "a", "tb-attempts": "2", "tb-old": "kept", "tb-reason": "failed" });
  expect(at(inbox.deliveries, 0).headers["tb-attempts"]).toBe("1");
});

test("a retry with a delay that was not planned rejects, and the delivery is still held", async () => {
  const inbox = new Inbox();
  await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ["1"]);
  const [delivery] = await inbox.received(1);
  await expect(delivery?.retry(21, {})).rejects.toMatchObject({ code: "topology" });
  expect(delivery?.complete()).toBe("settled");
});

test("a dead letter keeps body and headers, and says what failed and where it is", async () => {
  const inbox = new Inbox((delivery) => void delivery.deadLetter({ "tb-reason": "failed" }));
  await receive(bus, orders, inbox);
  const sent = message({ endpoint: "orders" }, "1", { headers: { tenant: "a" } });
  await sendOne(bus, sent);
  await inbox.received(1);
  const letters = new Inbox();
  await receiveDeadLetters(bus, orders, letters);
  const [letter] = await letters.received(1);
  expect(letter).toMatchObject({ body: sent.body, headers: { tenant: "a", "tb-reason": "failed" }, source: "orders.dead-letter" });
});

test("what is released goes back before what came after it, in the order it had", async () => {
  const inbox = new Inbox();
  const receiver = await receive(bus, orders, inbox, 5);
  await sendCommands(bus, "orders", ["1", "2", "3", "4", "5", "6", "7"]);
  await inbox.received(5);
  await receiver.stop();
  for (const index of [3, 0, 4, 1]) expect(await at(inbox.deliveries, index).release()).toBe("settled");
  const later = completingInbox();
  await receive(bus, orders, later, 2);
  await later.received(6);
  expect(later.ids).toEqual(["1", "2", "4", "5", "6", "7"]);
  expect(at(inbox.deliveries, 2).complete()).toBe("settled");
});

test("a released message reaches another receiver of the endpoint", async () => {
  const first = new Inbox();
  const stopping = await receive(bus, orders, first, 1);
  await sendCommands(bus, "orders", ["1"]);
  await first.received(1);
  const second = completingInbox();
  await receive(bus, orders, second);
  await stopping.stop();
  await at(first.deliveries, 0).release();
  await second.received(1);
  expect(second.ids).toEqual(["1"]);
});

const verbs: Record<string, (delivery: Delivery) => unknown> = {
  complete: (delivery) => delivery.complete(),
  retry: (delivery) => delivery.retry(20, {}),
  deadLetter: (delivery) => delivery.deadLetter({}),
  release: (delivery) => delivery.release(),
};

for (const [first, settle] of Object.entries(verbs)) {
  for (const [second, again] of Object.entries(verbs)) {
    test(`${second} after ${first} throws`, async () => {
      const inbox = new Inbox();
      const receiver = await receive(bus, orders, inbox);
      await sendCommands(bus, "orders", ["1"]);
      const [delivery] = await inbox.received(1);
      if (!delivery) throw new Error("not delivered");
      await receiver.stop();
      expect(await settle(delivery)).toBe("settled");
      await expect(async () => again(delivery)).rejects.toThrow(/settled already/);
    });
  }

  test(`${first} of a delivery that was lost does nothing and says so`, async () => {
    const inbox = new Inbox();
    const receiver = await receive(bus, orders, inbox);
    await sendCommands(bus, "orders", ["1"]);
    const [delivery] = await inbox.received(1);
    if (!delivery) throw new Error("not delivered");
    await receiver.close(performance.now());
    expect(await settle(delivery)).toBe("lost");
    await expect(async () => settle(delivery)).rejects.toThrow(/settled already/);
    const later = new Inbox();
    await receive(bus, orders, later);
    await settledLoop();
    expect(later.ids).toEqual(["1"]);
    const letters = new Inbox();
    await receiveDeadLetters(bus, orders, letters);
    await letters.wasExhausted();
    expect(letters.ids).toEqual([]);
  });
}

test("after stop nothing arrives, what is held can be settled, and a second call returns the same promise", async () => {
  const inbox = new Inbox();
  const receiver = await receive(bus, orders, inbox, 2);
  await sendCommands(bus, "orders", ["1", "2", "3"]);
  await inbox.received(2);
  const stopped = receiver.stop();
  expect(receiver.stop()).toBe(stopped);
  await stopped;
  expect(at(inbox.deliveries, 0).complete()).toBe("settled");
  await settledLoop();
  expect(inbox.ids).toEqual(["1", "2"]);
});

test("a receiver that stops in the middle of a batch gets nothing more of it", async () => {
  const inbox: Inbox = new Inbox(() => {
    if (inbox.deliveries.length === 2) void receiver.stop();
  });
  const receiver = await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ["1", "2", "3", "4"]);
  await settledLoop();
  expect(inbox.ids).toEqual(["1", "2"]);
});

test("close gives what is unsettled back in order and aborts its signals, also those that are asked for later", async () => {
  const inbox = new Inbox();
  const receiver = await receive(bus, orders, inbox, 4);
  await sendCommands(bus, "orders", ["1", "2", "3", "4", "5"]);
  const [, second, third, fourth] = await inbox.received(4);
  const { lost } = at(inbox.deliveries, 0);
  third?.complete();
  expect([lost.aborted, second?.isLost]).toEqual([false, false]);
  await receiver.close(performance.now());
  expect([lost.aborted, second?.isLost, second?.lost.aborted, fourth?.lost.aborted]).toEqual([true, true, true, true]);
  expect([third?.isLost, third?.lost.aborted]).toEqual([false, false]);
  const later = completingInbox();
  await receive(bus, orders, later);
  await later.received(4);
  expect(later.ids).toEqual(["1", "2", "4", "5"]);
});

test("a listener of lost that settles its neighbours finds them lost too", async () => {
  const inbox = new Inbox();
  const receiver = await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ["1", "2"]);
  const [first, second] = await inbox.received(2);
  const outcomes: unknown[] = [];
  first?.lost.addEventListener("abort", () => outcomes.push(second?.complete()));
  await receiver.close(performance.now());
  expect(outcomes).toEqual(["lost"]);
  const later = completingInbox();
  await receive(bus, orders, later);
  await later.received(2);
  expect(later.ids).toEqual(["1", "2"]);
});
