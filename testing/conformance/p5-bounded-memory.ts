import assert from "node:assert/strict";
import { type Delivery, PublishError } from "../../src/index.js";
import { cloudEvent, utf8 } from "./cloud-event.js";
import { ascending, numbersBelow } from "./note.js";
import type { Suite } from "./suite.js";

/** P5: what is in flight, held and pending is limited by count, whatever the backlog. */
export function p5BoundedMemory({ promise, ordered, competing }: Suite): void {
  promise("P5 an instance runs no more handlers at one time than its concurrency, and as many where there is work", async (stage) => {
    const Placed = stage.message("placed");
    const running = stage.collector<number>();
    const ended = stage.collector<number>();
    let now = 0;
    let most = 0;
    const gate = stage.gate();
    const consumer = async (note: { readonly n: number }): Promise<void> => {
      most = Math.max(most, ++now);
      running.add(note.n);
      await gate.opened;
      now--;
      ended.add(note.n);
    };
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { concurrency: 5, prefetch: 20 });

    await Promise.all(numbersBelow(100).map((n) => bus.publish(new Placed(n))));
    await running.reach(5);
    gate.open();

    assert.deepEqual(ascending(await ended.reach(100)), numbersBelow(100));
    assert.equal(most, 5);
  });

  promise("P5 an instance that makes no progress holds no more deliveries than its prefetch", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const gate = stage.gate();
    const running = stage.collector<number>();
    const handled = stage.collector<number>();
    const consumer = async (note: { readonly n: number }): Promise<void> => {
      running.add(note.n);
      await gate.opened;
      handled.add(note.n);
    };
    const options = { concurrency: 2, prefetch: 6, deduplication: false } as const;
    const blocked = await stage.listen(shipping, Placed, consumer, options);
    await Promise.all(numbersBelow(100).map((n) => blocked.publish(new Placed(n))));
    await running.reach(2);
    await stage.eventually("it holds what it may", () => stage.health(blocked, shipping).inFlight >= 2);

    const free = stage.collector<number>();
    if (competing) {
      await stage.listen(shipping, Placed, (note) => free.add(note.n), { deduplication: false });
      await free.reach(94);
    }
    assert.ok(stage.health(blocked, shipping).inFlight <= 6, `it holds ${stage.health(blocked, shipping).inFlight}`);
    assert.equal(running.items.length, 2);
    gate.open();

    await handled.reach(competing ? 2 : 100);
    await stage.eventually("all are handled", () => handled.items.length + free.items.length >= 100);
    assert.deepEqual(ascending([...handled.items, ...free.items]), numbersBelow(100));
  });

  promise(
    "P5 the adapter never has more deliveries unsettled than its prefetch, and gives the next for each that is settled",
    async (stage) => {
      const Placed = stage.message("placed");
      const shipping = stage.name("shipping");
      const before = await stage.listen(shipping, Placed, () => {});
      await before.stop();
      const raw = await stage.raw();
      for (const n of numbersBelow(40)) await raw.send(shipping, { body: utf8(JSON.stringify(cloudEvent(Placed.messageType, { n }))) });

      const arrived = stage.collector<Delivery>();
      let unsettled = 0;
      let most = 0;
      const order = ordered ? "key" : "none";
      const plan = { name: shipping, subscribed: [Placed.messageType], unsubscribed: [], retryDelaysMs: [], order } as const;
      const receiver = await raw.receive(plan, "endpoint", 4, (delivery) => {
        most = Math.max(most, ++unsettled);
        arrived.add(delivery);
      });
      for (const n of numbersBelow(40)) {
        const delivery = (await arrived.reach(n + 1))[n];
        unsettled--;
        assert.equal(delivery?.complete(), "settled");
      }

      assert.ok(most <= 4, `${most} were unsettled at one time`);
      await receiver.stop();
      assert.equal(arrived.items.length, 40);
    },
  );

  promise("P5 publishes beyond the pending bound are refused, and exactly the others arrive", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<number>();
    await stage.listen(stage.name("shipping"), Placed, (note) => seen.add(note.n), { deduplication: false });
    const publisher = stage.bus({ maxPendingPublishes: 20 });
    await publisher.publish(new Placed(0));

    const results = await Promise.allSettled(numbersBelow(100).map((n) => publisher.publish(new Placed(n + 1))));

    const sent = results.flatMap((result, i) => (result.status === "fulfilled" ? [i + 1] : []));
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      assert.ok(result.reason instanceof PublishError);
      assert.deepEqual([result.reason.outcome, result.reason.retryable], ["refused", true]);
    }
    assert.ok(sent.length >= 20 && sent.length < 100, `${sent.length} of 100 were taken`);
    await publisher.publish(new Placed(101));
    assert.deepEqual(ascending(await seen.reach(sent.length + 2)), [0, ...sent, 101]);
  });

  promise("P5 what one run of a consumer holds back is bounded, and its places are free again when it ends", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const shipping = stage.name("shipping");
    const refused = stage.collector<unknown>();
    const bus = stage.bus({ maxPendingPublishes: 10 });
    stage.endpoint(bus, shipping).subscribe(Placed, async (note, context) => {
      if (note.n === 1) {
        await assert.rejects(Promise.all(numbersBelow(11).map((n) => context.publish(new Shipped(n)))), (error) => {
          refused.add(error instanceof PublishError && error.outcome);
          return true;
        });
        throw new Error("dropped");
      }
      for (const n of numbersBelow(10)) await context.publish(new Shipped(n));
    });
    await bus.start();
    const publisher = stage.bus();

    await publisher.publish(new Placed(1));
    await stage.letter(bus, shipping);
    assert.deepEqual(await refused.reach(1), ["refused"]);
    for (const n of [2, 3]) {
      await publisher.publish(new Placed(n));
      await stage.counted(bus, shipping, "handled", n - 1);
    }

    assert.deepEqual(ascending(await arrived.reach(20)), [...numbersBelow(10), ...numbersBelow(10)].sort());
  });
}
