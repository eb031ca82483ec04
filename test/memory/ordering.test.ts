import { beforeEach, expect, test } from "vitest";
import type { Transport } from "../../src/contracts/transport.js";
import { memory } from "../../transports/memory/index.js";
import { at, completingInbox, connect, endpoint, Inbox, idOf, receive, sendCommands, settledLoop } from "./harness.js";

const orders = endpoint("orders", { order: "key" });
let broker: Transport;
let bus: Transport;

beforeEach(async () => {
  broker = memory();
  bus = await connect(broker);
  await bus.provision({ events: [], endpoints: [orders] }, "create");
});

test('with order "key" one receiver is active, and another takes over when it stops', async () => {
  const other = await connect(broker);
  const first = completingInbox();
  const second = completingInbox();
  const active = await receive(bus, orders, first);
  await receive(other, orders, second);
  await sendCommands(bus, "orders", ["1", "2"], "k");
  await first.received(2);
  await active.stop();
  await sendCommands(bus, "orders", ["3"], "k");
  await second.received(1);
  expect([first.ids, second.ids]).toEqual([["1", "2"], ["3"]]);
});

test("a standby that stops takes nothing over, and the next one does", async () => {
  const inboxes = [completingInbox(), completingInbox(), completingInbox()] as const;
  const active = await receive(bus, orders, inboxes[0]);
  const standby = await receive(bus, orders, inboxes[1]);
  await receive(bus, orders, inboxes[2]);
  await standby.stop();
  await active.stop();
  await sendCommands(bus, "orders", ["1"], "k");
  await inboxes[2].received(1);
  expect([inboxes[0].ids, inboxes[1].ids]).toEqual([[], []]);
});

test("the next active receiver gets nothing of a key that the earlier one still holds, until that is settled", async () => {
  const first = new Inbox();
  const second = completingInbox();
  const active = await receive(bus, orders, first, 2);
  await receive(bus, orders, second);
  await sendCommands(bus, "orders", ["a1"], "a");
  await sendCommands(bus, "orders", ["b1"], "b");
  await sendCommands(bus, "orders", ["c1"], "c");
  await sendCommands(bus, "orders", ["a2"], "a");
  await first.received(2);
  await active.stop();
  await settledLoop();
  expect(second.ids).toEqual(["c1"]);
  at(first.deliveries, 0).complete();
  await second.received(2);
  expect(second.ids).toEqual(["c1", "a2"]);
});

test("what the earlier receiver gives back comes to the next one before what follows it in its key", async () => {
  const first = new Inbox();
  const second = completingInbox();
  const active = await receive(bus, orders, first, 3);
  await receive(bus, orders, second);
  await sendCommands(bus, "orders", ["1", "2", "3", "4", "5"], "k");
  await first.received(3);
  at(first.deliveries, 0).complete();
  await active.stop();
  await at(first.deliveries, 2).release();
  await settledLoop();
  expect(second.ids).toEqual([]);
  await active.close(performance.now());
  await second.received(4);
  expect(second.ids).toEqual(["2", "3", "4", "5"]);
});

test("each key keeps its order while receivers come and go at random", async () => {
  const expected = new Map<string, string[]>();
  const seen = new Map<string, string[]>();
  let handled = 0;
  const inbox = () =>
    new Inbox((delivery) => {
      const key = delivery.properties.partitionKey ?? "";
      setImmediate(() => {
        // A real lane would skip it too: somebody else has the message now.
        if (delivery.complete() === "lost") return;
        handled++;
        seen.set(key, [...(seen.get(key) ?? []), idOf(delivery)]);
      });
    });
  let receivers = [await receive(bus, orders, inbox(), 4), await receive(bus, orders, inbox(), 4)];
  for (let i = 0; i < 400; i++) {
    const key = `k${i % 7}`;
    expected.set(key, [...(expected.get(key) ?? []), `${i}`]);
    await sendCommands(bus, "orders", [`${i}`], key);
    if (i % 10 === 9) {
      const [oldest, ...others] = receivers;
      if (i % 20 === 9) await oldest?.stop();
      else await oldest?.close(performance.now());
      receivers = [...others, await receive(bus, orders, inbox(), 4)];
      await settledLoop();
    }
  }
  while (handled < 400) await settledLoop();
  expect(seen).toEqual(expected);
});

test("an endpoint keeps the order it was made with: another one fails at start, naming both", async () => {
  const changed = { events: [], endpoints: [{ ...orders, order: "none" as const }] };
  const problem = { code: "topology", message: expect.stringMatching(/"orders" exists with order: "key".*"none"/s) };
  await expect(bus.provision(changed, "create")).rejects.toMatchObject(problem);
  await expect(bus.provision(changed, "verify")).rejects.toMatchObject(problem);
  await expect(receive(bus, endpoint("orders"), new Inbox())).rejects.toMatchObject(problem);
});
