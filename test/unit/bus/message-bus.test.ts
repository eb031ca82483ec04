import { afterEach, describe, expect, test, vi } from "vitest";
import { type Bus, type BusOptions, createBus, PublishError, TrolleybusError } from "../../../src/index.js";
import { FakeStore } from "../../support/fake-store.js";
import { SENT, transportError } from "../../support/scripted-transport.js";
import { Placed, Shipped, type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

function made(options: Partial<BusOptions> = {}): TestBus {
  const one = testBus(options);
  buses.push(one.bus);
  return one;
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "resolved",
    (error: unknown) => (error instanceof TrolleybusError ? error.code : error),
  );

describe("start", () => {
  test("connects, prepares the store, makes the topology of what is published and received, and receives: in this order", async () => {
    const store = new FakeStore();
    const { bus, transport } = made({ store, publishes: [Shipped] });
    bus.subscribe(Placed, () => {});
    expect(bus.health().status).toBe("starting");
    await bus.start();
    expect(transport.log).toEqual(["open", "provision", "receive shop"]);
    expect(store.log).toEqual(["open", "provision"]);
    expect(transport.plans[0]).toEqual({
      events: ["shop.shipped", "shop.placed"],
      endpoints: [{ name: "shop", subscribed: ["shop.placed"], unsubscribed: [], retryDelaysMs: [10_000, 60_000, 600_000], order: "none" }],
    });
    expect(transport.sources[0]).toMatchObject({ from: "endpoint", prefetch: 32 });
    expect(bus.health().status).toBe("up");
  });

  test("is not what a bus waits for that only publishes: it is up as soon as its connection is open", async () => {
    const { bus, transport } = made();
    let open = (): void => {};
    transport.onOpen = () => new Promise<void>((resolve) => (open = resolve));
    const published = bus.publish(new Placed(1));
    await until("it connects", () => transport.log.includes("open"));
    expect(bus.health().status).toBe("starting");
    open();
    await published;
    expect(bus.health().status).toBe("up");
    transport.host?.status({ publisher: true }, "down", "the broker is gone");
    expect(bus.health().status).toBe("down");
    await bus.stop();
    expect(bus.health().status).toBe("stopped");
  });

  test("is what a bus with endpoints waits for, although it has published", async () => {
    const { bus } = made();
    await bus.publish(new Placed(1));
    bus.subscribe(Placed, () => {});
    expect(bus.health().status).toBe("starting");
    await bus.start();
    expect(bus.health().status).toBe("up");
  });

  test("is one start, however often it is called", async () => {
    const { bus, transport } = made();
    expect(bus.start()).toBe(bus.start());
    await bus.start();
    expect(transport.log.filter((entry) => entry === "open")).toHaveLength(1);
  });

  test("that fails closes what it opened, and tells the reason itself", async () => {
    const store = new FakeStore();
    const { bus, transport } = made({ store });
    const error = transportError("topology", false);
    transport.onReceive = ({ endpoint }) => {
      if (endpoint.name === "audit") throw error;
    };
    bus.subscribe(Placed, () => {});
    bus.endpoint("audit").subscribe(Placed, () => {});
    await expect(bus.start()).rejects.toBe(error);
    expect(transport.log.slice(-3)).toEqual(["stop shop", "close shop", "close"]);
    expect(store.log.at(-1)).toBe("close");
    expect(bus.health().status).toBe("stopped");
    expect(await codeOf(bus.start())).toBe("stopped");
    expect(await codeOf(bus.publish(new Placed(1)))).toBe("stopped");
  });

  test("that fails on a mistake has connected nothing", async () => {
    const { bus, transport } = made({ concurrency: 10, prefetch: 5 });
    bus.subscribe(Placed, () => {});
    expect(await codeOf(bus.start())).toBe("configuration");
    expect(transport.log).toEqual([]);
  });

  test("that fails because the store is another bus's leaves the store alone", async () => {
    const store = new FakeStore();
    store.onOpen = () => Promise.reject(new Error("used by another bus"));
    const { bus } = made({ store });
    bus.subscribe(Placed, () => {});
    await expect(bus.start()).rejects.toThrow("used by another bus");
    expect(store.log).toEqual(["open"]);
  });

  test.each([
    ["while it connects", "onOpen"],
    ["while the topology is made", "onProvision"],
    ["while the receivers start", "onReceive"],
  ] as const)('that is stopped %s rejects with "stopped", receives nothing, and leaves nothing open', async (_, where) => {
    const { bus, transport } = made();
    let goOn: (() => void) | undefined;
    transport[where] = () => new Promise<void>((resolve) => (goOn = resolve));
    bus.subscribe(Placed, () => {});
    const starting = codeOf(bus.start());
    await until("the start is under way", () => goOn !== undefined);
    const stopping = bus.stop({ deadline: 2000 });
    await settled();
    goOn?.();
    expect(await starting).toBe("stopped");
    await stopping;
    expect(transport.log.at(-1)).toBe("close");
    if (where === "onReceive") expect(transport.log).toEqual(["open", "provision", "receive shop", "stop shop", "close shop", "close"]);
    else expect(transport.log).not.toContain("receive shop");
    expect(bus.health().status).toBe("stopped");
  });

  test("that waits for the broker is ended by the stop", async () => {
    const { bus, transport } = made();
    transport.onOpen = (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("gave up"))));
    bus.subscribe(Placed, () => {});
    const starting = codeOf(bus.start());
    await settled();
    await bus.stop();
    expect(await starting).toBe("stopped");
  });

  test.each([null, 0, false, "", 5, [], new Map()])("takes no %j for the options of an endpoint", (options) => {
    expect(() => made().bus.endpoint("audit", options as never)).toThrow("they are an object");
  });

  test("comes after what it starts: endpoints, consumers and steps that are given later are errors", async () => {
    const { bus } = made();
    const endpoint = bus.endpoint("audit");
    endpoint.subscribe(Placed, () => {});
    await bus.start();
    const text = /before start\(\)/;
    expect(() => bus.subscribe(Placed, () => {})).toThrow(text);
    expect(() => bus.endpoint("other")).toThrow(text);
    expect(() => bus.endpoint("audit", { concurrency: 1 })).toThrow(text);
    expect(() => endpoint.subscribe(Shipped, () => {})).toThrow(text);
    expect(() => endpoint.unsubscribe(Shipped)).toThrow(text);
    expect(() => bus.use(async (_, next) => next())).toThrow(text);
    expect(bus.endpoint("audit")).toBe(endpoint);
  });
});

describe("stop", () => {
  test("takes no new work, lets what is in flight end and publish, flushes, closes: in this order", async () => {
    const store = new FakeStore();
    const { bus, transport } = made({ store });
    const order = transport.log;
    transport.onAnswer = ({ answer }) => order.push(answer?.verb ?? "");
    let finish: (() => void) | undefined;
    bus.subscribe(Placed, async (_, context) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      await bus.publish(new Shipped(1));
      await context.publish(new Shipped(2), { immediately: true });
    });
    await bus.start();
    transport.deliverMessage("shop", "shop.placed", { n: 1 });
    await until("the handler runs", () => finish !== undefined);
    order.length = 0;
    const stopping = bus.stop();
    await settled();
    expect(order).toEqual(["stop shop"]);
    finish?.();
    await stopping;
    expect(order).toEqual(["stop shop", "provision", "send 1", "send 1", "complete", "close shop", "close"]);
    expect(store.log.slice(-2)).toEqual(["done m1", "close"]);
    expect(bus.health().status).toBe("stopped");
  });

  test("waits for publishes that are on their way", async () => {
    const { bus, transport } = made();
    const held = transport.holdSends();
    const publishing = bus.publish(new Placed(1));
    await until("it is sent", () => held.length === 1);
    const stopping = bus.stop();
    await settled();
    expect(transport.log).not.toContain("close");
    held[0]?.answer(SENT);
    await publishing;
    await stopping;
    expect(transport.log.at(-1)).toBe("close");
  });

  test("is over at its deadline whatever hangs: handlers are aborted, their messages go back, publishes are told the truth", async () => {
    vi.useFakeTimers();
    const { bus, transport } = made();
    transport.onSend = (messages, signal) =>
      new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve(messages.map(() => ({ outcome: "unknown", error: transportError("timeout") })))),
      );
    let aborted: unknown;
    bus.subscribe(Placed, (_, { signal }) => {
      signal.addEventListener("abort", () => {
        aborted = signal.reason;
      });
      return new Promise(() => {});
    });
    await bus.start();
    const delivery = transport.deliverMessage("shop", "shop.placed", { n: 1 });
    const publishing = bus.publish(new Shipped(1)).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10);
    let over = false;
    void bus.stop({ deadline: "10s" }).then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(7_999);
    expect(delivery.answer).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(delivery.answer).toEqual({ verb: "release" });
    expect(String(aborted)).toContain("deadline of stop()");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(over).toBe(true);
    expect(await publishing).toMatchObject({ outcome: "unknown" });
    expect(bus.health().endpoints[0]?.strays).toBe(1);
  });

  test("goes on with the next part when one fails to stop", async () => {
    const store = new FakeStore();
    const { bus, transport, logger } = made({ store });
    transport.onStop = () => Promise.reject(new Error("the channel is gone"));
    bus.subscribe(Placed, () => {});
    await bus.start();
    await bus.stop();
    expect(transport.log.slice(-3)).toEqual(["stop shop", "close shop", "close"]);
    expect(store.log.at(-1)).toBe("close");
    expect(logger.texts("warn").join()).toContain('receiver of endpoint "shop" did not stop');
  });

  test("is one stop, however often it is called", async () => {
    const { bus } = made();
    expect(bus.stop()).toBe(bus.stop());
    await bus.stop();
    await bus[Symbol.asyncDispose]();
  });

  test.each([["soon"], [-1], [Number.NaN], ["25d"], [Number.POSITIVE_INFINITY]])("takes no deadline %j", async (deadline) => {
    const { bus } = made();
    expect(await codeOf(bus.stop({ deadline: deadline as number }))).toBe("configuration");
  });

  test.each([
    [{ dedline: 5 }, 'no option "dedline"; did you mean "deadline"?'],
    [{ deadline: "soon" }, 'deadline is "soon"; it is milliseconds or text'],
    [5000, "stop is given 5000; it takes an object"],
    [null, "stop is given null; it takes an object"],
    [[5000], "stop is given a list; it takes an object"],
  ])("with %j says what is wrong, and stops nothing", async (options, told) => {
    const { bus } = made();
    await expect(bus.stop(options as object)).rejects.toThrow(told);
    expect(bus.health().status).not.toBe("stopped");
    await bus.publish(new Placed(1));
  });

  test("of a bus that was never used connects nothing", async () => {
    const { bus, transport } = made();
    await bus.stop();
    expect(transport.log).toEqual([]);
  });

  test("from then on publishing, sending and looking at dead letters are refused", async () => {
    const { bus, transport } = made();
    await bus.publish(new Placed(1));
    await bus.stop();
    const error = await bus.publish(new Placed(1)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({ code: "stopped", outcome: "refused", retryable: false });
    expect(await codeOf(bus.send("audit", new Placed(1)))).toBe("stopped");
    expect(await codeOf(bus.deadLetters().process(() => "keep"))).toBe("stopped");
    expect(transport.log.at(-1)).toBe("close");
  });

  test("ends a look at dead letters after the letter in hand, and waits for it", async () => {
    const { bus, transport } = made();
    await bus.start();
    let decide: ((decision: "drop") => void) | undefined;
    const looking = codeOf(bus.deadLetters().process(() => new Promise((resolve) => (decide = resolve))));
    await until("the dead letters are received", () => transport.sinks.has("shop dead letters"));
    const letters = [1, 2].map((n) => transport.deliverMessage("shop dead letters", "shop.placed", { n }));
    await until("it decides", () => decide !== undefined);
    const stopping = bus.stop();
    await settled();
    expect(transport.log).not.toContain("close");
    decide?.("drop");
    expect(await looking).toBe("stopped");
    await stopping;
    expect(letters.map(({ answer }) => answer?.verb)).toEqual(["complete", "release"]);
    expect(transport.log.slice(-3)).toEqual(["stop shop", "close shop", "close"]);
  });
});

describe("publishing needs no start", () => {
  test("the first publish connects and makes the topology of its type, once", async () => {
    const { bus, transport } = made();
    await Promise.all([bus.publish(new Placed(1)), bus.publish(new Placed(2)), bus.send("audit", new Shipped(3))]);
    await bus.publish(new Placed(4));
    expect(transport.log.filter((entry) => !entry.startsWith("send"))).toEqual(["open", "provision"]);
    expect(transport.plans).toEqual([{ events: ["shop.placed"], endpoints: [] }]);
    expect(transport.sent).toHaveLength(4);
  });

  test('with topology: "none" nothing is made', async () => {
    const { bus, transport } = made({ topology: "none" });
    await bus.publish(new Placed(1));
    expect(transport.log).toEqual(["open", "send 1"]);
  });

  test("a connection that cannot be made rejects the publish, and the next publish tries anew", async () => {
    const { bus, transport } = made();
    let tries = 0;
    transport.onOpen = () => {
      if (++tries === 1) throw transportError("configuration", false);
    };
    expect(await codeOf(bus.publish(new Placed(1)))).toBe("configuration");
    await bus.publish(new Placed(2));
    expect(tries).toBe(2);
  });

  test("a topology that cannot be made rejects what needs it, and is tried anew by the next", async () => {
    const { bus, transport } = made();
    transport.onProvision = () => {
      transport.onProvision = () => {};
      throw transportError("topology", false);
    };
    expect(await codeOf(bus.publish(new Placed(1)))).toBe("topology");
    await bus.publish(new Placed(2));
    expect(transport.sent).toHaveLength(1);
  });
});

describe("what is given wrongly is told at once", () => {
  test.each([
    ["a step", (bus: Bus) => bus.use("step" as never)],
    ["an outgoing step", (bus: Bus) => bus.useOutgoing(undefined as never)],
    ["a name of an endpoint", (bus: Bus) => bus.endpoint("Shop_1")],
    ["a name for dead letters", (bus: Bus) => bus.deadLetters("")],
    ["options for an endpoint a second time", (bus: Bus) => [bus.endpoint("a", { concurrency: 1 }), bus.endpoint("a", { concurrency: 1 })]],
  ])("%s", (_, call) => {
    const { bus } = made();
    expect(() => call(bus)).toThrow(TrolleybusError);
  });

  test("within() says that the store has no transactions", () => {
    expect(() => made().bus.within({})).toThrow(expect.objectContaining({ code: "unsupported" }));
  });

  test("createBus tells every mistake", () => {
    expect(() => createBus({ service: "Shop!", transport: "carrier-pigeon:" })).toThrow(/service names[\s\S]*transport begins with/);
  });
});
