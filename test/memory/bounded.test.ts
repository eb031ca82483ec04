import { expect, test, vi } from "vitest";
import { memory } from "../../transports/memory/index.js";
import {
  at,
  connect,
  endpoint,
  Inbox,
  message,
  never,
  receive,
  receiveDeadLetters,
  recordingHost,
  sendCommands,
  sendOne,
  settledLoop,
} from "./harness.js";

const small = endpoint("small", { subscribed: ["shop.thing"] });
const other = endpoint("other", { subscribed: ["shop.thing", "shop.other-thing"] });
const plan = { events: [], endpoints: [small, other] };
const full = { outcome: "refused", error: { code: "unavailable", retryable: true } };

test("a full endpoint refuses what is sent, as worth another try, and takes it when there is room", async () => {
  const bus = await connect(memory({ maxQueueLength: 2 }));
  await bus.provision(plan, "create");
  const command = (id: string) => message({ endpoint: "small" }, id);
  expect(await bus.send([command("1"), command("2"), command("3")], never)).toMatchObject([{ outcome: "sent" }, { outcome: "sent" }, full]);
  const inbox = new Inbox();
  await receive(bus, small, inbox);
  await inbox.received(2);
  expect(await sendOne(bus, command("3"))).toMatchObject(full);
  at(inbox.deliveries, 0).complete();
  expect(await sendOne(bus, command("3"))).toEqual({ outcome: "sent" });
  await inbox.received(3);
  expect(inbox.ids).toEqual(["1", "2", "3"]);
});

test("an event is refused as a whole when one of its endpoints is full, so that a second try makes no second copy", async () => {
  const bus = await connect(memory({ maxQueueLength: 1 }));
  await bus.provision(plan, "create");
  await sendCommands(bus, "small", ["1"]);
  expect(await sendOne(bus, message({ event: "shop.thing" }, "2"))).toMatchObject(full);
  const inbox = new Inbox();
  await receive(bus, other, inbox);
  await settledLoop();
  expect(inbox.ids).toEqual([]);
  expect(await sendOne(bus, message({ event: "shop.other-thing" }, "3"))).toEqual({ outcome: "sent" });
});

test("messages that wait for a delayed retry count, so that failing ones cannot fill the memory", async () => {
  const bus = await connect(memory({ maxQueueLength: 2 }));
  await bus.provision(plan, "create");
  const inbox = new Inbox((delivery) => void delivery.retry(60_000, {}));
  await receive(bus, small, inbox);
  await sendCommands(bus, "small", ["1", "2"]);
  await inbox.received(2);
  expect(await sendOne(bus, message({ endpoint: "small" }, "3"))).toMatchObject(full);
});

test("retries, dead letters and releases are never refused, and a replay finds room", async () => {
  const bus = await connect(memory({ maxQueueLength: 3 }));
  await bus.provision(plan, "create");
  const inbox = new Inbox();
  const receiver = await receive(bus, small, inbox);
  await sendCommands(bus, "small", ["retried", "dead", "released"]);
  await inbox.received(3);
  expect(await at(inbox.deliveries, 0).retry(20, {})).toBe("settled");
  expect(await at(inbox.deliveries, 1).deadLetter({})).toBe("settled");
  await sendCommands(bus, "small", ["new"]);
  await inbox.received(4);
  await receiver.stop();
  expect(await at(inbox.deliveries, 2).release()).toBe("settled");
  expect(await at(inbox.deliveries, 3).deadLetter({})).toBe("settled");
  await sendCommands(bus, "small", ["replayed"]);
  expect(await sendOne(bus, message({ endpoint: "small" }, "one too many"))).toMatchObject(full);
  await receiver.close(performance.now());
  const later = new Inbox();
  await receive(bus, small, later);
  await later.received(3);
  expect(later.ids.toSorted()).toEqual(["released", "replayed", "retried"]);
  const letters = new Inbox();
  await receiveDeadLetters(bus, small, letters);
  await letters.received(2);
  expect(letters.ids).toEqual(["dead", "new"]);
});

test("a settled message makes room exactly once, whatever became of it", async () => {
  const bus = await connect(memory({ maxQueueLength: 4 }));
  await bus.provision(plan, "create");
  for (let round = 0; round < 3; round++) {
    const inbox = new Inbox();
    const receiver = await receive(bus, small, inbox);
    await sendCommands(bus, "small", ["complete", "dead", "retry", "lost"]);
    await inbox.received(4);
    at(inbox.deliveries, 0).complete();
    await at(inbox.deliveries, 1).deadLetter({});
    await at(inbox.deliveries, 2).retry(20, {});
    await inbox.received(5);
    at(inbox.deliveries, 4).complete();
    await receiver.close(performance.now());
    at(inbox.deliveries, 3).complete();
    const later = new Inbox((delivery) => delivery.complete());
    const draining = await receive(bus, small, later);
    await later.received(1);
    await draining.close(performance.now());
  }
});

test("many dead letters are warned about, once", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    const host = recordingHost();
    const bus = await connect(memory({ maxQueueLength: 2 }), "", host);
    await bus.provision(plan, "create");
    const inbox = new Inbox((delivery) => void delivery.deadLetter({}));
    await receive(bus, small, inbox);
    await sendCommands(bus, "small", ["1", "2"]);
    await inbox.received(2);
    vi.advanceTimersByTime(60_000);
    expect(host.warnings).toEqual([expect.stringContaining('"small" has 2 dead letters')]);
  } finally {
    vi.useRealTimers();
  }
});
