import { expect, test } from "vitest";
import { memory } from "../../transports/memory/index.js";
import { completingInbox, connect, endpoint, Inbox, message, receive, receiveDeadLetters, sendOne, settledLoop } from "./harness.js";

test("creating again changes nothing and adds what is new", async () => {
  const bus = await connect(memory());
  const orders = endpoint("orders", { subscribed: ["shop.a"] });
  await bus.provision({ events: [], endpoints: [orders] }, "create");
  await bus.provision({ events: ["shop.b"], endpoints: [orders, endpoint("orders", { subscribed: ["shop.b"] })] }, "create");
  const inbox = completingInbox();
  await receive(bus, orders, inbox);
  await sendOne(bus, message({ event: "shop.a" }, "a"));
  await sendOne(bus, message({ event: "shop.b" }, "b"));
  await settledLoop();
  expect(inbox.ids).toEqual(["a", "b"]);
});

test("a subscription that is given up ends, what had come by it stays, and other endpoints keep theirs", async () => {
  const bus = await connect(memory());
  const orders = endpoint("orders", { subscribed: ["shop.a"] });
  const audit = endpoint("audit", { subscribed: ["shop.a"] });
  await bus.provision({ events: [], endpoints: [orders, audit] }, "create");
  await sendOne(bus, message({ event: "shop.a" }, "1"));
  await bus.provision({ events: [], endpoints: [endpoint("orders", { unsubscribed: ["shop.a", "shop.never-was"] })] }, "create");
  await sendOne(bus, message({ event: "shop.a" }, "2"));
  const inboxes = [completingInbox(), completingInbox()] as const;
  await receive(bus, orders, inboxes[0]);
  await receive(bus, audit, inboxes[1]);
  await settledLoop();
  expect(inboxes.map((inbox) => inbox.ids)).toEqual([["1"], ["1", "2"]]);
});

test("verify names every difference and makes nothing", async () => {
  const bus = await connect(memory());
  await bus.provision({ events: ["shop.a"], endpoints: [endpoint("orders", { subscribed: ["shop.a"] })] }, "create");
  const plan = {
    events: ["shop.missing"],
    endpoints: [
      endpoint("orders", { subscribed: ["shop.b"], unsubscribed: ["shop.a"], order: "key" }),
      endpoint("email", { subscribed: ["shop.c"] }),
    ],
  };
  const error = await bus.provision(plan, "verify").then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: "topology", retryable: false });
  for (const difference of [
    'event type "shop.missing" does not exist',
    'event type "shop.b" does not exist',
    'event type "shop.c" does not exist',
    '"orders" exists with order: "none"',
    '"orders" has no subscription to "shop.b"',
    '"orders" still has a subscription to "shop.a"',
    'endpoint "email" does not exist',
  ]) {
    expect((error as Error).message).toContain(difference);
  }
  expect((error as Error).message.match(/\n {2}- /g)).toHaveLength(7);
  await expect(receive(bus, endpoint("email"), new Inbox())).rejects.toMatchObject({ code: "topology" });
});

test("verify is content with what create made", async () => {
  const bus = await connect(memory());
  const plan = { events: ["shop.a"], endpoints: [endpoint("orders", { subscribed: ["shop.b"], unsubscribed: ["shop.c"], order: "key" })] };
  await bus.provision(plan, "create");
  await expect(bus.provision(plan, "verify")).resolves.toBeUndefined();
});

test("create makes nothing at all when an endpoint exists with another order", async () => {
  const bus = await connect(memory());
  await bus.provision({ events: [], endpoints: [endpoint("orders")] }, "create");
  const plan = { events: ["shop.a"], endpoints: [endpoint("email"), endpoint("orders", { order: "key" })] };
  await expect(bus.provision(plan, "create")).rejects.toMatchObject({ code: "topology" });
  await expect(receive(bus, endpoint("email"), new Inbox())).rejects.toMatchObject({ code: "topology" });
  expect(await sendOne(bus, message({ event: "shop.a" }, "1"))).toMatchObject({ error: { code: "topology" } });
});

test("receiving from an endpoint that does not exist, dead letters too, is a topology error that says what to do", async () => {
  const bus = await connect(memory());
  const problem = { code: "topology", message: expect.stringContaining('"orders"') };
  await expect(receive(bus, endpoint("orders"), new Inbox())).rejects.toMatchObject(problem);
  await expect(receiveDeadLetters(bus, endpoint("orders"), new Inbox())).rejects.toMatchObject(problem);
});
