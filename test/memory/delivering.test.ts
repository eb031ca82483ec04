import { expect, test, vi } from "vitest";
import { memory } from "../../transports/memory/index.js";
import {
  at,
  completingInbox,
  connect,
  endpoint,
  Inbox,
  message,
  never,
  receive,
  recordingHost,
  sendCommands,
  sendOne,
  settledLoop,
} from "./harness.js";

const shipping = endpoint("shipping", { subscribed: ["shop.order-placed"] });
const email = endpoint("email", { subscribed: ["shop.order-placed", "shop.order-shipped"] });
const plan = { events: ["shop.order-placed", "shop.unheard"], endpoints: [shipping, email] };

test("an event reaches every endpoint that has subscribed, and no other", async () => {
  const bus = await connect(memory());
  const audit = endpoint("audit", { subscribed: ["shop.order-shipped"] });
  await bus.provision({ ...plan, endpoints: [shipping, email, audit] }, "create");
  const inboxes = [completingInbox(), completingInbox(), completingInbox()] as const;
  await receive(bus, shipping, inboxes[0]);
  await receive(bus, email, inboxes[1]);
  await receive(bus, audit, inboxes[2]);
  expect(await sendOne(bus, message({ event: "shop.order-placed" }, "1"))).toEqual({ outcome: "sent" });
  expect(await sendOne(bus, message({ event: "shop.unheard" }, "2"))).toEqual({ outcome: "sent" });
  await settledLoop();
  expect(inboxes.map((inbox) => inbox.ids)).toEqual([["1"], ["1"], []]);
});

test("what is published while nobody receives waits for the endpoint, in order", async () => {
  const broker = memory();
  const bus = await connect(broker);
  await bus.provision(plan, "create");
  const receiver = await receive(bus, shipping, new Inbox());
  await receiver.close(performance.now());
  for (const id of ["1", "2", "3"]) await sendOne(bus, message({ event: "shop.order-placed" }, id));
  const inbox = completingInbox();
  await receive(bus, shipping, inbox);
  await inbox.received(3);
  expect(inbox.ids).toEqual(["1", "2", "3"]);
});

test("a command goes to its endpoint alone, and to an unknown endpoint it is refused as unroutable", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inbox = completingInbox();
  const other = completingInbox();
  await receive(bus, shipping, inbox);
  await receive(bus, email, other);
  const results = await bus.send([message({ endpoint: "shipping" }, "1"), message({ endpoint: "shiping" }, "2")], never);
  expect(results).toMatchObject([{ outcome: "sent" }, { outcome: "refused", error: { code: "unroutable", retryable: false } }]);
  await inbox.received(1);
  await settledLoop();
  expect([inbox.ids, other.ids]).toEqual([["1"], []]);
});

test("an event type that nobody has declared is refused, as a real broker would", async () => {
  const bus = await connect(memory());
  const result = await sendOne(bus, message({ event: "shop.order-placed" }, "1"));
  expect(result).toMatchObject({ outcome: "refused", error: { code: "topology", retryable: false } });
});

test("nothing is delivered inside the call that sends; the next turn of the event loop delivers the whole batch and confirms it", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inbox = completingInbox();
  await receive(bus, shipping, inbox);
  const setImmediates = vi.spyOn(globalThis, "setImmediate");
  const timers = vi.spyOn(globalThis, "setTimeout");
  const ids = Array.from({ length: 50 }, (_, i) => `${i}`);
  const sent = sendCommands(bus, "shipping", ids);
  await Promise.resolve();
  expect(inbox.deliveries).toHaveLength(0);
  await sent;
  expect(setImmediates).toHaveBeenCalledTimes(2);
  expect(timers).not.toHaveBeenCalled();
  vi.restoreAllMocks();
  expect(inbox.ids).toEqual(ids);
});

test("a consumer that settles at once does not keep the event loop from its other work", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inbox = completingInbox();
  await receive(bus, shipping, inbox, 10);
  await sendCommands(
    bus,
    "shipping",
    Array.from({ length: 5000 }, (_, i) => `${i}`),
  );
  // Two turns have passed; each hands out about a thousand, however fast they are settled.
  await new Promise((resolve) => setImmediate(resolve));
  expect(inbox.deliveries.length).toBeLessThan(3000);
  await inbox.received(5000);
});

test("10,000 messages sent by several publishers arrive, none missing, none twice, none changed", async () => {
  const broker = memory();
  const publishers = await Promise.all([connect(broker), connect(broker), connect(broker), connect(broker)]);
  const consumer = await connect(broker);
  await consumer.provision(plan, "create");
  const inbox = new Inbox((delivery) => queueMicrotask(() => delivery.complete()));
  await receive(consumer, shipping, inbox, 32);
  const expected: string[] = [];
  await Promise.all(
    publishers.map(async (publisher, p) => {
      for (let batch = 0; batch < 25; batch++) {
        const ids = Array.from({ length: 100 }, (_, i) => `${p}-${batch}-${i}-\u{1F68E}`);
        expected.push(...ids);
        await sendCommands(publisher, "shipping", ids);
      }
    }),
  );
  await inbox.received(10_000);
  await settledLoop();
  expect(inbox.ids.toSorted()).toEqual(expected.toSorted());
});

test("two receivers of one endpoint compete: each message goes to one of them, in turn", async () => {
  const broker = memory();
  const [first, second] = [await connect(broker), await connect(broker)];
  await first.provision(plan, "create");
  await second.provision(plan, "create");
  const inboxes = [completingInbox(), completingInbox()] as const;
  await receive(first, shipping, inboxes[0]);
  await receive(second, shipping, inboxes[1]);
  const ids = Array.from({ length: 100 }, (_, i) => `${i}`);
  await sendCommands(first, "shipping", ids);
  await settledLoop();
  expect(inboxes.map((inbox) => inbox.deliveries.length)).toEqual([50, 50]);
  expect([...inboxes[0].ids, ...inboxes[1].ids].toSorted()).toEqual(ids.toSorted());
});

test("a receiver that is full does not keep messages from one that has room", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const slow = new Inbox();
  const quick = completingInbox();
  await receive(bus, shipping, slow, 2);
  await receive(bus, shipping, quick, 2);
  await sendCommands(
    bus,
    "shipping",
    Array.from({ length: 50 }, (_, i) => `${i}`),
  );
  await quick.received(48);
  expect(slow.deliveries).toHaveLength(2);
});

test("at most prefetch deliveries are unsettled, and each settlement makes room for one", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inbox = new Inbox();
  await receive(bus, shipping, inbox, 3);
  await sendCommands(bus, "shipping", ["1", "2", "3", "4", "5", "6"]);
  await settledLoop();
  expect(inbox.ids).toEqual(["1", "2", "3"]);
  at(inbox.deliveries, 1).complete();
  await settledLoop();
  expect(inbox.ids).toEqual(["1", "2", "3", "4"]);
  await at(inbox.deliveries, 0).deadLetter({});
  await at(inbox.deliveries, 2).retry(60_000, {});
  await settledLoop();
  expect(inbox.ids).toEqual(["1", "2", "3", "4", "5", "6"]);
});

test("a delivery carries the bytes, properties and headers that were sent", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inbox = completingInbox();
  await receive(bus, shipping, inbox);
  const body = Uint8Array.from({ length: 256 }, (_, i) => i);
  const headers = { "tenant-id": "Zürich", __proto__x: "1" };
  const sent = { ...message({ endpoint: "shipping" }, "1", { key: "order-7" }), body, headers };
  await sendOne(bus, sent);
  const [delivery] = await inbox.received(1);
  expect(delivery).toMatchObject({ body, headers, properties: sent.properties, source: "shipping", suspicion: "none" });
});

test("endpoints that get the same event share nothing that one of them could change for the other", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inboxes = [new Inbox(), new Inbox()] as const;
  await receive(bus, shipping, inboxes[0]);
  await receive(bus, email, inboxes[1]);
  const headers: Record<string, string> = { tenant: "a" };
  await sendOne(bus, message({ event: "shop.order-placed" }, "1", { headers }));
  headers["tenant"] = "changed by the sender";
  const [first] = await inboxes[0].received(1);
  const [second] = await inboxes[1].received(1);
  expect(() => Object.assign(first?.headers ?? {}, { tenant: "changed by a consumer" })).toThrow(TypeError);
  expect(() => Object.assign(first?.properties ?? {}, { messageId: "x" })).toThrow(TypeError);
  expect(second?.headers).toEqual({ tenant: "a" });
});

test("a message that is larger than the transport takes is refused with its size, its neighbours are sent", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const large = { ...message({ endpoint: "shipping" }, "2"), body: new Uint8Array(bus.capabilities.maxMessageBytes), headers: { a: "b" } };
  const results = await bus.send([message({ endpoint: "shipping" }, "1"), large, message({ endpoint: "shipping" }, "3")], never);
  expect(results).toMatchObject([
    { outcome: "sent" },
    { outcome: "refused", error: { code: "too-large", retryable: false } },
    { outcome: "sent" },
  ]);
});

test("a send that was given up before it began is refused, and nothing is stored", async () => {
  const bus = await connect(memory());
  await bus.provision(plan, "create");
  const inbox = completingInbox();
  await receive(bus, shipping, inbox);
  const results = await bus.send([message({ endpoint: "shipping" }, "1")], AbortSignal.abort());
  expect(results).toMatchObject([{ outcome: "refused", error: { code: "timeout", retryable: true } }]);
  await settledLoop();
  expect(inbox.ids).toEqual([]);
});

test("the core is told that publishing and the endpoint are up, and how much waits", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    const host = recordingHost();
    const bus = await connect(memory(), "", host);
    await bus.provision(plan, "create");
    await sendCommands(bus, "shipping", ["1", "2", "3"]);
    await receive(bus, shipping, new Inbox(), 1);
    expect(host.statuses).toEqual([
      { part: { publisher: true }, status: "up" },
      { part: { endpoint: "shipping" }, status: "up" },
    ]);
    expect(host.lags).toEqual([{ endpoint: "shipping", messages: 3 }]);
    await settledLoop();
    vi.advanceTimersByTime(30_000);
    expect(host.lags.at(-1)).toEqual({ endpoint: "shipping", messages: 2 });
    await bus.close(0);
  } finally {
    vi.useRealTimers();
  }
});
