import { beforeEach, expect, test } from "vitest";
import type { Transport } from "../../src/contracts/transport.js";
import { memory } from "../../transports/memory/index.js";
import { at, completingInbox, connect, endpoint, Inbox, receive, receiveDeadLetters, sendCommands, settledLoop } from "./harness.js";

const orders = endpoint("orders");
let bus: Transport;

beforeEach(async () => {
  bus = await connect(memory());
  await bus.provision({ events: [], endpoints: [orders] }, "create");
});

/** Gives up on new messages with these ids. */
async function bury(ids: readonly string[]): Promise<void> {
  const inbox = new Inbox((delivery) => void delivery.deadLetter({ "tb-reason": "failed" }));
  const receiver = await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ids);
  await inbox.received(ids.length);
  await receiver.close(performance.now());
}

async function remaining(): Promise<string[]> {
  const inbox = new Inbox((delivery) => void delivery.release());
  const receiver = await receiveDeadLetters(bus, orders, inbox);
  await inbox.wasExhausted();
  await receiver.close(performance.now());
  return inbox.ids;
}

test("an empty list is exhausted once, and not within the call", async () => {
  const inbox = new Inbox();
  const receiver = await receiveDeadLetters(bus, orders, inbox);
  expect(inbox.timesExhausted).toBe(0);
  await inbox.wasExhausted();
  await settledLoop();
  await receiver.close(performance.now());
  expect([inbox.timesExhausted, inbox.ids]).toEqual([1, []]);
});

test("what was there at the call is delivered once, oldest first, within the prefetch, and then it is exhausted", async () => {
  await bury(["1", "2", "3", "4", "5"]);
  const inbox = new Inbox();
  await receiveDeadLetters(bus, orders, inbox, 2);
  await settledLoop();
  expect(inbox.ids).toEqual(["1", "2"]);
  for (let i = 0; i < 5; i++) {
    await inbox.received(i + 1);
    at(inbox.deliveries, i).complete();
  }
  await inbox.wasExhausted();
  await settledLoop();
  expect([inbox.timesExhausted, inbox.ids]).toEqual([1, ["1", "2", "3", "4", "5"]]);
  expect(await remaining()).toEqual([]);
});

test("it is exhausted when the last is delivered, though none is settled yet", async () => {
  await bury(["1", "2"]);
  const inbox = new Inbox();
  await receiveDeadLetters(bus, orders, inbox, 2);
  await inbox.wasExhausted();
  expect(inbox.ids).toEqual(["1", "2"]);
});

test("a letter that is released is kept in its place and not met again in the same look", async () => {
  await bury(["1", "2", "3", "4"]);
  const inbox = new Inbox();
  const receiver = await receiveDeadLetters(bus, orders, inbox, 1);
  for (const settle of ["release", "complete", "release", "release"] as const) {
    const index = inbox.deliveries.length;
    await at(await inbox.received(index === 0 ? 1 : index), inbox.deliveries.length - 1)[settle]();
    await settledLoop();
  }
  await inbox.wasExhausted();
  await receiver.close(performance.now());
  expect(inbox.ids).toEqual(["1", "2", "3", "4"]);
  expect(await remaining()).toEqual(["1", "3", "4"]);
});

test("what is dead-lettered after the call is left for the next one", async () => {
  await bury(["1", "2"]);
  const inbox = new Inbox();
  const receiver = await receiveDeadLetters(bus, orders, inbox, 1);
  await inbox.received(1);
  await bury(["3"]);
  await at(inbox.deliveries, 0).deadLetter({ "tb-reason": "again" });
  await inbox.received(2);
  at(inbox.deliveries, 1).complete();
  await inbox.wasExhausted();
  await settledLoop();
  await receiver.close(performance.now());
  expect(inbox.ids).toEqual(["1", "2"]);
  expect(await remaining()).toEqual(["3", "1"]);
});

test("a dead letter can be retried: it comes to the endpoint after the delay and is no letter any more", async () => {
  await bury(["1"]);
  const inbox = new Inbox((delivery) => void delivery.retry(20, { "tb-reason": "replayed" }));
  await receiveDeadLetters(bus, orders, inbox);
  const replayed = completingInbox();
  await receive(bus, orders, replayed);
  const [delivery] = await replayed.received(1);
  expect(delivery?.headers).toEqual({ "tb-reason": "replayed" });
  expect(await remaining()).toEqual([]);
});

test("two looks at the same time share the letters, and none is seen by both while one holds it", async () => {
  const ids = Array.from({ length: 10 }, (_, i) => `${i}`);
  await bury(ids);
  const first = new Inbox();
  const second = new Inbox((delivery) => delivery.complete());
  const firstReceiver = await receiveDeadLetters(bus, orders, first, 3);
  await receiveDeadLetters(bus, orders, second, 3);
  await second.wasExhausted();
  for (const delivery of [...first.deliveries]) delivery.complete();
  await first.wasExhausted();
  await firstReceiver.close(performance.now());
  expect([...first.ids, ...second.ids].toSorted()).toEqual(ids);
});

test("close in the middle keeps what was not settled, and neither delivers nor reports anything afterwards", async () => {
  await bury(["1", "2", "3"]);
  const inbox = new Inbox();
  const receiver = await receiveDeadLetters(bus, orders, inbox, 2);
  await inbox.received(2);
  at(inbox.deliveries, 0).complete();
  await receiver.stop();
  expect(at(inbox.deliveries, 1).isLost).toBe(false);
  await receiver.close(performance.now());
  expect(at(inbox.deliveries, 1).complete()).toBe("lost");
  await settledLoop();
  expect([inbox.timesExhausted, inbox.ids]).toEqual([0, ["1", "2"]]);
  expect(await remaining()).toEqual(["2", "3"]);
});
