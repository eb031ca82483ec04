import { randomBytes } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { type Bus, type BusOptions, createBus, type EndpointOptions } from "../../src/index.js";
import { kafka } from "../../transports/kafka/index.js";
import { describeWithKafka } from "../support/brokers.js";
import { deleteKafkaTopology } from "../support/delete-kafka-topology.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { eventually } from "./support/eventually.js";

/** So many come behind one that is slow. */
const BEHIND = 5_000;
const OUTSTANDING = 500;

class Placed {
  static readonly messageType = "orders.placed";
  constructor(readonly n: number) {}
}

describeWithKafka("one partition", ({ brokers }) => {
  const buses: Bus[] = [];
  let namePrefix = "";
  afterEach(async () => {
    await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: "2s" })));
    const left = { namePrefix, endpoints: ["shipping"], messageTypes: [Placed.messageType], retryDelays: ["500ms"] } as const;
    await deleteKafkaTopology(brokers)(left);
  });

  /** All on one partition, so that everything stands behind everything. */
  function makeBus(options: Partial<BusOptions> = {}): Bus {
    if (buses.length === 0) namePrefix = `t${randomBytes(4).toString("hex")}.`;
    const transport = kafka({ brokers, partitions: 1 });
    const bus = createBus({ service: "shipping", transport, namePrefix, retry: false, logger: new RecordingLogger(), ...options });
    buses.push(bus);
    return bus;
  }

  async function listen(consume: (note: Placed) => unknown, options: EndpointOptions = {}): Promise<Bus> {
    const bus = makeBus();
    bus.endpoint("shipping", options).subscribe(Placed, async (note) => void (await consume(note)));
    await bus.start();
    return bus;
  }

  async function publish(bus: Bus, from: number, count: number): Promise<void> {
    for (let n = from; n < from + count; n += OUTSTANDING) {
      await Promise.all(Array.from({ length: Math.min(OUTSTANDING, from + count - n) }, (_, i) => bus.publish(new Placed(n + i))));
    }
  }

  test(`${BEHIND} records behind a handler that does not end are handled, and none of them again when it is given back`, async () => {
    const prefetch = 50;
    const seen = new Set<number>();
    let release = (): void => {};
    const blocked = new Promise<void>((resolve) => {
      release = resolve;
    });
    const first = await listen(
      async ({ n }) => {
        if (n === 0) await blocked;
        seen.add(n);
      },
      { concurrency: 10, prefetch },
    );
    await publish(first, 0, BEHIND + 1);
    await eventually("all but the first to be handled", () => seen.size === BEHIND, 40_000);

    await first.stop({ deadline: "1s" });
    const again: number[] = [];
    await listen(({ n }) => again.push(n), { deduplication: false });
    await eventually("the first to come again", () => again.includes(0));
    await publish(makeBus(), BEHIND + 1, 1);
    await eventually("what is new to come", () => again.includes(BEHIND + 1));

    expect(again).toEqual([0, BEHIND + 1]);
    release();
  });

  test("records behind one that always fails are handled before it is tried again", async () => {
    const runs: number[] = [];
    const bus = await listen(
      ({ n }) => {
        runs.push(n);
        if (n === 0) throw new Error("always");
      },
      { retry: { immediate: 0, delays: ["500ms", "500ms"] } },
    );

    await publish(bus, 0, 100);
    await eventually("it to be given up", () => bus.health().endpoints[0]?.counts.deadLettered === 1);

    const tries = runs.flatMap((n, index) => (n === 0 ? [index] : []));
    expect(tries.length).toBe(3);
    expect(tries[1]).toBe(100);
    expect(new Set(runs).size).toBe(100);
  });

  test("a handler that runs for longer than the session runs once", async () => {
    const runs: number[] = [];
    const ended: number[] = [];
    const transport = kafka({ brokers, partitions: 1, sessionTimeout: "3s" });
    const bus = makeBus({ transport });
    bus.endpoint("shipping").subscribe(Placed, async ({ n }) => {
      runs.push(n);
      if (n === 0) await new Promise((resolve) => setTimeout(resolve, 10_000));
      ended.push(n);
    });
    await bus.start();

    await publish(bus, 0, 3);
    await eventually("all to end", () => ended.length === 3);
    await publish(bus, 3, 1);
    await eventually("the next to end", () => ended.length === 4);

    expect(runs.toSorted()).toEqual([0, 1, 2, 3]);
  });
});
