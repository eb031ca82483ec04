import { afterEach, describe, expect, test } from "vitest";
import { type Bus, type BusOptions, type EndpointOptions, TrolleybusError } from "../../../src/index.js";
import { FakeStore } from "../../support/fake-store.js";
import { ScriptedTransport } from "../../support/scripted-transport.js";
import { Placed, Shipped, testBus } from "../../support/test-bus.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

class PlacedInCapitals {
  static readonly messageType = "Shop.Placed";
  readonly n = 1;
}
class NamedLikeTheEndpoint {
  static readonly messageType = "Audit";
  readonly n = 1;
}

async function mistakesOf(
  prepare: (bus: Bus) => void,
  options: Partial<BusOptions> = {},
  capabilities: Partial<ScriptedTransport["capabilities"]> = {},
): Promise<string> {
  const transport = new ScriptedTransport();
  transport.capabilities = { ...transport.capabilities, ...capabilities };
  const { bus } = testBus(options, transport);
  buses.push(bus);
  prepare(bus);
  try {
    await bus.start();
  } catch (error) {
    if (error instanceof TrolleybusError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "it started";
}

const audit =
  (options: EndpointOptions) =>
  (bus: Bus): void => {
    bus.endpoint("audit", options).subscribe(Placed, () => {});
  };

describe("before anything is connected the start refuses", () => {
  test("a deduplication window that is not longer than all retries and one handler together", async () => {
    const retry = { delays: ["10s", "1m"] as const };
    const told = await mistakesOf(audit({ retry, handlerTimeout: "1m", deduplication: { window: "130s" } }));
    expect(told).toContain("configuration: ");
    expect(told).toContain('endpoint "audit": deduplication.window is 130s, but a copy of a message can arrive 130s later');
    expect(await mistakesOf(audit({ retry, handlerTimeout: "1m", deduplication: { window: 130_001 } }))).toBe("it started");
    expect(await mistakesOf(audit({ retry: { delays: ["1h"] } }))).toContain("deduplication.window is 30m");
    expect(await mistakesOf(audit({ retry: { delays: ["1h"] }, deduplication: false }))).toBe("it started");
  });

  test("the store's own window when it is too short", async () => {
    expect(await mistakesOf(audit({}), { store: new FakeStore({ defaultWindowMs: 970_000 }) })).toContain("deduplication.window is 970s");
    expect(await mistakesOf(audit({}), { store: new FakeStore({ defaultWindowMs: 970_001 }) })).toBe("it started");
  });

  test("two types that differ by case alone, published or received", async () => {
    const told = await mistakesOf((bus) => bus.subscribe(Placed, () => {}), { publishes: [PlacedInCapitals] });
    expect(told).toContain('"shop.placed" and "Shop.Placed" differ by case alone');
  });

  test("a type with the name of an endpoint", async () => {
    const told = await mistakesOf(audit({}), { publishes: [NamedLikeTheEndpoint] });
    expect(told).toContain('"Audit" is the name of a message type and of an endpoint');
  });

  test("fewer messages held than handlers", async () => {
    expect(await mistakesOf(audit({ concurrency: 10, prefetch: 9 }))).toContain("prefetch is 9 and concurrency 10");
    expect(await mistakesOf(audit({ concurrency: 10, prefetch: 10 }))).toBe("it started");
  });

  test("an endpoint without a consumer, unless it only takes subscriptions back", async () => {
    expect(await mistakesOf((bus) => bus.endpoint("audit"))).toContain('endpoint "audit" has no consumer');
    expect(await mistakesOf((bus) => bus.endpoint("audit").unsubscribe(Placed))).toBe("it started");
  });

  test("a type that is subscribed and taken back", async () => {
    const told = await mistakesOf((bus) =>
      bus
        .endpoint("audit")
        .subscribe(Placed, () => {})
        .unsubscribe(Placed),
    );
    expect(told).toContain('subscribes "shop.placed" and takes it back');
  });

  test("more claims than the store takes: handlers would wait for each other for ever", async () => {
    const store = (): FakeStore => new FakeStore({ maxClaims: 20 });
    const two = (options: EndpointOptions) => (bus: Bus) => {
      audit({ concurrency: 10 })(bus);
      bus.endpoint("mail", { concurrency: 11, ...options }).subscribe(Placed, () => {});
    };
    expect(await mistakesOf(two({}), { store: store() })).toContain(
      "the store fake takes 20 claims at one time and the endpoints may need 21",
    );
    expect(await mistakesOf(two({ deduplication: false }), { store: store() })).toBe("it started");
  });

  test("everything at once", async () => {
    const told = await mistakesOf(
      (bus) => {
        bus.endpoint("mail");
        audit({ concurrency: 2, prefetch: 1, deduplication: { window: "1s" } })(bus);
      },
      { publishes: [PlacedInCapitals] },
    );
    expect(told.split("\n  - ")).toHaveLength(5);
  });
});

describe("what the transport cannot do is refused when it is connected, all at once:", () => {
  test('order: "key" on one that keeps no order', async () => {
    const told = await mistakesOf(audit({ order: "key" }), {}, { order: "none" });
    expect(told).toContain('unsupported: The transport cannot do what is asked:\n  - endpoint "audit" asks for order: "key"');
  });

  test('order: "key" over several types on one that orders one type only', async () => {
    const two = (bus: Bus): void => {
      bus.endpoint("audit", { order: "key" }).subscribe([Placed, Shipped], () => {});
    };
    expect(await mistakesOf(two, {}, { order: "type" })).toContain("takes 2 types; scripted keeps order within one type only");
    expect(await mistakesOf(audit({ order: "key" }), {}, { order: "type" })).toBe("it started");

    const transport = Object.assign(new ScriptedTransport(), { ordersTogether: (types: readonly string[]) => types.length === 2 });
    transport.capabilities = { ...transport.capabilities, order: "type" };
    expect(await mistakesOf(two, { transport })).toBe("it started");
    expect(await mistakesOf(two)).toBe("it started");
  });

  test("handlers that may take half of the time that a message may be held, or longer", async () => {
    expect(await mistakesOf(audit({ handlerTimeout: "10m" }), {}, { maxHoldMs: 20 * 60_000 })).toContain(
      "a handlerTimeout of 10m; with scripted it is below 10m",
    );
    expect(await mistakesOf(audit({ handlerTimeout: "9m" }), {}, { maxHoldMs: 20 * 60_000 })).toBe("it started");
  });

  test("names that are too long with the prefix, of endpoints and of types, received or published", async () => {
    const told = await mistakesOf(audit({}), { namePrefix: "dev.", publishes: [Shipped] }, { maxNameLength: 8 });
    expect(told.match(/"dev\.[^"]*" is too long/g)).toEqual([
      '"dev.audit" is too long',
      '"dev.shop.placed" is too long',
      '"dev.shop.shipped" is too long',
    ]);
  });

  test("larger messages than it takes, when they are asked for", async () => {
    expect(await mistakesOf(audit({}), { maxMessageBytes: 1001 }, { maxMessageBytes: 1000 })).toContain(
      "maxMessageBytes is 1001; scripted takes 1000",
    );
    expect(await mistakesOf(audit({}), { maxMessageBytes: 1000 }, { maxMessageBytes: 1000 })).toBe("it started");
    expect(await mistakesOf(audit({}), {}, { maxMessageBytes: 1000 })).toBe("it started");
  });

  test("several of them", async () => {
    const told = await mistakesOf(
      audit({ order: "key", handlerTimeout: "1h", deduplication: false }),
      { maxMessageBytes: 5 },
      { order: "none", maxHoldMs: 1000, maxMessageBytes: 4 },
    );
    expect(told.split("\n  - ")).toHaveLength(4);
  });
});

test('a delay that is listed twice is one queue; with order: "key" there is none', async () => {
  const transport = new ScriptedTransport();
  const { bus } = testBus({}, transport);
  buses.push(bus);
  audit({ retry: { delays: ["1m", "60s", "2m"] } })(bus);
  bus.endpoint("mail", { order: "key" }).subscribe(Placed, () => {});
  await bus.start();
  expect(transport.plans[0]?.endpoints.map(({ retryDelaysMs }) => retryDelaysMs)).toEqual([[60_000, 120_000], []]);
});
