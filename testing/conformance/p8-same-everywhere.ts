import assert from "node:assert/strict";
import type { Suite } from "./suite.js";

/** P8: the same behaviour everywhere; what a transport cannot do fails at start, and what goes on can be seen. */
export function p8SameEverywhere({ promise, capabilities, ordered, variant }: Suite): void {
  if (capabilities.order === "none") {
    promise('P8 order: "key" fails at start where the transport cannot keep it', async (stage) => {
      const Placed = stage.message("placed");
      const bus = stage.bus();
      bus.endpoint(stage.name("shipping"), { order: "key" }).subscribe(Placed, () => {});
      await assert.rejects(bus.start(), { code: "unsupported" });
    });
  }

  if (capabilities.order === "type") {
    promise('P8 order: "key" over several types fails at start where the transport orders within one type only', async (stage) => {
      const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
      const bus = stage.bus();
      bus.endpoint(stage.name("shipping"), { order: "key" }).subscribe([Placed, Shipped], () => {});
      await assert.rejects(bus.start(), { code: "unsupported" });
    });
  }

  if (Number.isFinite(capabilities.maxHoldMs)) {
    promise("P8 a handler time-out that the broker cannot wait for fails at start", async (stage) => {
      const Placed = stage.message("placed");
      const bus = stage.bus();
      stage.endpoint(bus, stage.name("shipping"), { handlerTimeout: capabilities.maxHoldMs }).subscribe(Placed, () => {});
      await assert.rejects(bus.start(), /handlerTimeout/);
    });
  }

  promise("P8 health says up after the start, stopped after the stop, and counts what happened at each endpoint", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const bus = stage.bus();
    const retry = { immediate: 0, delays: ["50ms"] } as const;
    stage.endpoint(bus, shipping, { retry }).subscribe(Placed, (note, { attempt }) => {
      if (note.n === 2 || (note.n === 1 && attempt === 1)) throw new Error("fails");
    });
    await bus.start();
    const atStart = bus.health();
    assert.deepEqual([atStart.status, atStart.publisher.status, stage.health(bus, shipping).status], ["up", "up", "up"]);

    for (const n of [0, 1, 2]) await bus.publish(new Placed(n), { messageId: `order-${n}` });
    await stage.counted(bus, shipping, "handled", 2);
    await stage.counted(bus, shipping, "deadLettered", 1);
    await bus.publish(new Placed(0), { messageId: "order-0" });
    await stage.counted(bus, shipping, "duplicates", 1);

    const { counts, inFlight, strays } = stage.health(bus, shipping);
    assert.deepEqual(counts, { handled: 2, retried: 2, deadLettered: 1, duplicates: 1, stale: 0 });
    assert.deepEqual([inFlight, strays, bus.health().publisher.pending], [0, 0, 0]);
    await bus.stop();
    assert.equal(bus.health().status, "stopped");
  });

  promise("P8 the same endpoint under two prefixes is two endpoints", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const [own, other] = [stage.collector<number>(), stage.collector<number>()];
    const bus = await stage.listen(shipping, Placed, (note) => own.add(note.n));
    const elsewhere = await stage.listen(shipping, Placed, (note) => other.add(note.n), {}, { namePrefix: "elsewhere." });

    await bus.publish(new Placed(1));
    await bus.send(shipping, new Placed(2));
    await elsewhere.publish(new Placed(3));
    await elsewhere.send(shipping, new Placed(4));

    assert.deepEqual([...(await own.reach(2))].sort(), [1, 2]);
    assert.deepEqual([...(await other.reach(2))].sort(), [3, 4]);
  });

  promise('P8 topology: "verify" fails at start while something is missing, and passes when it is there', async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const options = { topology: "verify" } as const;
    const retry = { immediate: 0, delays: ["50ms"] } as const;
    await assert.rejects(
      stage.listen(shipping, Placed, () => {}, { retry }, options),
      { code: "topology" },
    );

    const creator = await stage.listen(shipping, Placed, () => {}, { retry });
    await creator.stop();
    const seen = stage.collector<number>();
    const verified = await stage.listen(shipping, Placed, (note) => seen.add(note.n), { retry }, options);
    await verified.publish(new Placed(1));

    assert.deepEqual(await seen.reach(1), [1]);
  });

  // Where the order is a property of the place in the broker. A log is in order anyway, and whoever reads it may do without.
  if (capabilities.order === "endpoint") {
    promise("P8 another order for an endpoint that exists fails at start and says to take another name", async (stage) => {
      const Placed = stage.message("placed");
      const shipping = stage.name("shipping");
      const before = await stage.listen(shipping, Placed, () => {});
      await before.stop();
      const bus = stage.bus();
      bus.endpoint(shipping, { order: ordered ? "none" : "key", retry: false }).subscribe(Placed, () => {});
      await assert.rejects(bus.start(), { code: "topology" });
    });
  }

  promise("P8 the service's own endpoint is named after it", async (stage) => {
    const Placed = stage.message("placed");
    const service = stage.name("shipping");
    const seen = stage.collector<string>();
    const bus = stage.bus({ service });
    if (variant.order) bus.endpoint(service, { order: variant.order });
    bus.subscribe(Placed, (_note, context) => seen.add(context.endpoint));
    await bus.start();

    await bus.publish(new Placed(1));
    await bus.send(service, new Placed(2));

    assert.deepEqual(await seen.reach(2), [service, service]);
  });
}
