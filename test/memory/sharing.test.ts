import { expect, test } from "vitest";
import { memory, transportFromConfig, transportFromUrl } from "../../transports/memory/index.js";
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

const orders = endpoint("orders", { subscribed: ["shop.thing"] });
const plan = { events: [], endpoints: [orders] };

test("closing one bus leaves the other's receivers and the broker's messages alone", async () => {
  const broker = memory();
  const [first, second] = [await connect(broker), await connect(broker)];
  await first.provision(plan, "create");
  const mine = new Inbox();
  const theirs = new Inbox();
  await receive(first, orders, mine, 1);
  await receive(second, orders, theirs, 1);
  await sendCommands(first, "orders", ["1", "2", "3"]);
  await Promise.all([mine.received(1), theirs.received(1)]);
  await first.close(performance.now());
  expect(at(mine.deliveries, 0).isLost).toBe(true);
  expect(at(theirs.deliveries, 0).complete()).toBe("settled");
  await theirs.received(2);
  at(theirs.deliveries, 1).complete();
  await theirs.received(3);
  expect([mine.ids, theirs.ids]).toEqual([["1"], ["2", "1", "3"]]);
  expect(await sendOne(second, message({ event: "shop.thing" }, "4"))).toEqual({ outcome: "sent" });
  expect(await sendOne(first, message({ event: "shop.thing" }, "5"))).toMatchObject({ outcome: "refused", error: { code: "unavailable" } });
});

test("the object itself is a connection like those that it shares", async () => {
  const broker = memory();
  await broker.open(recordingHost(), never);
  const other = await connect(broker);
  await other.provision(plan, "create");
  const inbox = completingInbox();
  await receive(broker, orders, inbox);
  await broker.close(performance.now());
  await sendCommands(other, "orders", ["1"]);
  await settledLoop();
  expect(inbox.ids).toEqual([]);
});

test("two calls of memory() make two brokers", async () => {
  const [first, second] = [await connect(memory()), await connect(memory())];
  await first.provision(plan, "create");
  expect(await sendOne(second, message({ endpoint: "orders" }, "1"))).toMatchObject({ error: { code: "unroutable" } });
});

test("a second open of one connection is a configuration error, also after close, and says what to do", async () => {
  const connection = await connect(memory());
  const problem = { code: "configuration", message: expect.stringContaining("share()") };
  await expect(connection.open(recordingHost(), never)).rejects.toMatchObject(problem);
  await connection.close(performance.now());
  await expect(connection.open(recordingHost(), never)).rejects.toMatchObject(problem);
});

test("before open and after close nothing works, nothing is lost silently, and close may be called again", async () => {
  const connection = memory();
  expect(await sendOne(connection, message({ endpoint: "orders" }, "1"))).toMatchObject({
    outcome: "refused",
    error: { code: "unavailable" },
  });
  await expect(connection.provision(plan, "create")).rejects.toMatchObject({ code: "unavailable" });
  await expect(receive(connection, orders, new Inbox())).rejects.toMatchObject({ code: "unavailable" });
  await connection.close(performance.now());
  await connection.open(recordingHost(), never);
  await connection.provision(plan, "create");
  await connection.close(performance.now());
  await connection.close(performance.now());
  await expect(receive(connection, orders, new Inbox())).rejects.toMatchObject({ code: "unavailable" });
});

test("an open that was given up before it began rejects and may be tried again", async () => {
  const connection = memory();
  await expect(connection.open(recordingHost(), AbortSignal.abort())).rejects.toMatchObject({ code: "timeout", retryable: true });
  await connection.open(recordingHost(), never);
  await connection.close(performance.now());
});

test("a name prefix separates environments of one broker, and shows in what people read", async () => {
  const broker = memory();
  const test = await connect(broker, "test.");
  const staging = await connect(broker, "staging.");
  await test.provision(plan, "create");
  await staging.provision(plan, "create");
  const inboxes = [completingInbox(), completingInbox()] as const;
  await receive(test, orders, inboxes[0]);
  await receive(staging, orders, inboxes[1]);
  await sendOne(test, message({ event: "shop.thing" }, "1"));
  await sendCommands(staging, "orders", ["2"]);
  await Promise.all([inboxes[0].received(1), inboxes[1].received(1)]);
  await settledLoop();
  expect(inboxes.map((inbox) => inbox.ids)).toEqual([["1"], ["2"]]);
  expect(at(inboxes[0].deliveries, 0).source).toBe("test.orders");
});

test("the same URL, or its name in a configuration object, is the same broker, another name is another", async () => {
  const first = await connect(transportFromUrl("memory:sharing"));
  await first.provision(plan, "create");
  const reaches = async (transport: ReturnType<typeof memory>): Promise<string> =>
    (await sendOne(await connect(transport), message({ endpoint: "orders" }, "1"))).outcome;
  expect(await reaches(transportFromUrl("memory:sharing"))).toBe("sent");
  expect(await reaches(transportFromConfig({ type: "memory", name: "sharing" }))).toBe("sent");
  expect(await reaches(transportFromUrl("memory:Sharing"))).toBe("refused");
  expect(await reaches(transportFromUrl("memory:"))).toBe("refused");
  await (await connect(transportFromConfig({ type: "memory" }))).provision(plan, "create");
  expect(await reaches(transportFromUrl("memory:"))).toBe("sent");
});
