import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Transport } from "../../src/contracts/transport.js";
import { Delays } from "../../transports/memory/delays.js";
import { memory } from "../../transports/memory/index.js";
import type { StoredMessage } from "../../transports/memory/mapping.js";
import { at, connect, endpoint, Inbox, idOf, never, receive, recordingHost, sendCommands } from "./harness.js";

const orders = endpoint("orders", { retryDelaysMs: [5, 15, 30, 60_000] });
let bus: Transport;

beforeEach(async () => {
  bus = await connect(memory());
  await bus.provision({ events: [], endpoints: [orders] }, "create");
});
afterEach(() => vi.restoreAllMocks());

test("a delayed retry is never early, and those of one delay keep their order", async () => {
  const delays = [5, 15, 30];
  const ids = Array.from({ length: 300 }, (_, i) => `${i}`);
  const notBefore = new Map<string, number>();
  const early: string[] = [];
  const returned = new Map<number, number[]>(delays.map((delay) => [delay, []]));
  const inbox = new Inbox((delivery) => {
    const id = idOf(delivery);
    const delay = delays[Number(id) % 3] ?? 0;
    const due = notBefore.get(id);
    if (due === undefined) {
      notBefore.set(id, performance.now() + delay);
      void delivery.retry(delay, {});
      return;
    }
    if (performance.now() < due) early.push(id);
    returned.get(delay)?.push(Number(id));
    delivery.complete();
  });
  await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ids);
  await inbox.received(600);
  expect(early).toEqual([]);
  for (const order of returned.values()) expect(order).toEqual(order.toSorted((a, b) => a - b));
});

test("a shorter delay that is asked for later comes first", async () => {
  const inbox = new Inbox();
  await receive(bus, orders, inbox);
  await sendCommands(bus, "orders", ["long", "short"]);
  await inbox.received(2);
  await at(inbox.deliveries, 0).retry(30, {});
  await at(inbox.deliveries, 1).retry(5, {});
  await inbox.received(4);
  expect(inbox.ids.slice(2)).toEqual(["short", "long"]);
});

test("a thousand delayed messages share one timer", async () => {
  const inbox = new Inbox();
  await receive(bus, orders, inbox, 1000);
  await sendCommands(
    bus,
    "orders",
    Array.from({ length: 1000 }, (_, i) => `${i}`),
  );
  await inbox.received(1000);
  const timers = vi.spyOn(globalThis, "setTimeout");
  await Promise.all(inbox.deliveries.map((delivery) => delivery.retry(60_000, {})));
  expect(timers).toHaveBeenCalledTimes(1);
});

test("a delayed message outlives the bus that delayed it", async () => {
  const broker = memory();
  const first = await connect(broker);
  await first.provision({ events: [], endpoints: [orders] }, "create");
  const inbox = new Inbox((delivery) => void delivery.retry(5, {}));
  const receiver = await receive(first, orders, inbox);
  await sendCommands(first, "orders", ["1"]);
  await inbox.received(1);
  await receiver.close(performance.now());
  await first.close(performance.now());
  const second = await connect(broker);
  const later = new Inbox();
  await receive(second, orders, later);
  await later.received(1);
  expect(later.ids).toEqual(["1"]);
});

test("a timer that fires too soon hands out nothing and is set again", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    const due: StoredMessage[] = [];
    const delays = new Delays();
    delays.add(10, { due: (message) => due.push(message) }, stored("1"));
    clock.mockReturnValue(1009.2);
    vi.advanceTimersByTime(10);
    expect(due).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(1);
    clock.mockReturnValue(1010);
    vi.advanceTimersByTime(1);
    expect(due).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("what is due comes by due time, and what is due at the same time in the order in which it was added", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const delays = new Delays();
    const due: string[] = [];
    const added: { id: string; at: number }[] = [];
    let seed = 42;
    for (let i = 0; i < 500; i++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      const delay = seed % 50;
      added.push({ id: `${i}`, at: delay });
      delays.add(delay, { due: ({ properties }) => due.push(properties.messageId) }, stored(`${i}`));
    }
    vi.advanceTimersByTime(100);
    expect(due).toEqual(added.toSorted((a, b) => a.at - b.at).map(({ id }) => id));
  } finally {
    vi.useRealTimers();
  }
});

test("an open connection keeps the process alive, a delayed message alone does not", async () => {
  // Compared within one turn each time: what else the process has must not matter.
  const timeouts = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const connection = memory();
  let before = timeouts();
  const opened = connection.open(recordingHost(), never);
  expect(timeouts()).toBe(before + 1);
  await opened;
  await connection.provision({ events: [], endpoints: [orders] }, "create");
  const inbox = new Inbox();
  const receiver = await receive(connection, orders, inbox);
  await sendCommands(connection, "orders", ["1"]);
  await inbox.received(1);
  before = timeouts();
  const retried = at(inbox.deliveries, 0).retry(60_000, {});
  expect(timeouts()).toBe(before);
  await retried;
  await receiver.close(performance.now());
  before = timeouts();
  const closed = connection.close(performance.now());
  expect(timeouts()).toBe(before - 1);
  await closed;
});

function stored(id: string): StoredMessage {
  const properties = { messageId: id, messageType: "t", contentType: "c", correlationId: "c", partitionKey: undefined };
  return { body: new Uint8Array(0), headers: {}, properties };
}
