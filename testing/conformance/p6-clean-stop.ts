import assert from "node:assert/strict";
import { PublishError } from "../../src/index.js";
import { ascending, type Note, numbersBelow } from "./note.js";
import type { Suite } from "./suite.js";

/** P6: `stop()` takes nothing new, lets what runs finish until the deadline, and gives the rest back. */
export function p6CleanStop({ promise }: Suite): void {
  promise("P6 stop lets a running handler finish and publish, and takes nothing new", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const shipping = stage.name("shipping");
    const running = stage.collector<number>();
    const gate = stage.gate();
    let aborted = false;
    const consumer = async (note: Note, context: { readonly signal: AbortSignal }): Promise<void> => {
      running.add(note.n);
      await gate.opened;
      aborted = context.signal.aborted;
      await bus.publish(new Shipped(note.n));
      await bus.publish(new Shipped(note.n + 100), { immediately: true });
    };
    const bus = await stage.listen(shipping, Placed, consumer, { concurrency: 1, prefetch: 5 });
    await Promise.all(numbersBelow(20).map((n) => bus.publish(new Placed(n))));
    const [first] = await running.reach(1);
    assert.ok(first !== undefined);

    const stopped = bus.stop();
    await stage.bus().publish(new Placed(20));
    gate.open();
    await stopped;

    assert.equal(aborted, false);
    assert.deepEqual(running.items, [first], "what had arrived but was not begun is given back");
    assert.deepEqual(ascending(await arrived.reach(2)), [first, first + 100]);
    const rest = stage.collector<number>();
    await stage.listen(shipping, Placed, (note) => rest.add(note.n));
    assert.deepEqual(
      ascending(await rest.reach(20)),
      numbersBelow(21).filter((n) => n !== first),
    );
  });

  promise("P6 past the deadline the handler is aborted, and its message goes to another instance without a lost attempt", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const shipping = stage.name("shipping");
    const running = stage.collector<number>();
    const ended = stage.collector<string>();
    const bus = await stage.listen(shipping, Placed, async (note, context) => {
      running.add(note.n);
      await context.publish(new Shipped(1));
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      await context.publish(new Shipped(2)).catch((error: { code?: string }) => ended.add(String(error.code)));
    });
    await bus.publish(new Placed(1));
    await running.reach(1);

    await bus.stop({ deadline: "500ms" });

    const [code] = await ended.reach(1);
    assert.ok(code === "run-ended" || code === "stopped", `from the abort on publish rejects: ${code}`);
    const second = stage.collector<readonly [number, number]>();
    const other = await stage.listen(shipping, Placed, (note, context) => second.add([note.n, context.attempt]));
    assert.deepEqual(await second.reach(1), [[1, 1]]);
    await other.publish(new Shipped(3));
    assert.deepEqual(await arrived.reach(1), [3], "what the aborted run published is dropped");
  });

  promise("P6 stop ends at its deadline though a handler ignores its signal, and the message is not lost", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const running = stage.collector<number>();
    const gate = stage.gate();
    const bus = await stage.listen(shipping, Placed, (note) => {
      running.add(note.n);
      return gate.opened;
    });
    await bus.publish(new Placed(1));
    await running.reach(1);

    await bus.stop({ deadline: "500ms" });

    assert.equal(bus.health().status, "stopped");
    const seen = stage.collector<number>();
    await stage.listen(shipping, Placed, (note) => seen.add(note.n));
    assert.deepEqual(await seen.reach(1), [1]);
  });

  promise("P6 a message that waits for a retry when the bus stops is handled by the next instance", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const options = { retry: { immediate: 0, delays: ["1s"] } } as const;
    const failed = stage.collector<number>();
    const bus = await stage.listen(
      shipping,
      Placed,
      (note) => {
        failed.add(note.n);
        throw new Error("not here");
      },
      options,
    );
    await bus.publish(new Placed(1));
    await stage.counted(bus, shipping, "retried", 1);

    await bus.stop();
    const seen = stage.collector<number>();
    await stage.listen(shipping, Placed, (note) => seen.add(note.n), options);

    assert.deepEqual(await seen.reach(1), [1]);
    assert.deepEqual(failed.items, [1]);
  });

  promise("P6 stop sends what is pending: what publish resolved has arrived, what it rejected says why", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<number>();
    const receiver = await stage.listen(stage.name("shipping"), Placed, (note) => seen.add(note.n));
    const bus = stage.bus();
    await bus.publish(new Placed(1_000));

    const publishes = Promise.allSettled(numbersBelow(500).map((n) => bus.publish(new Placed(n))));
    await bus.stop();

    const results = await publishes;
    const sent = results.flatMap((result, n) => (result.status === "fulfilled" ? [n] : []));
    for (const result of results) assert.ok(result.status === "fulfilled" || result.reason instanceof PublishError);
    assert.equal(sent.length, 500, "there was time enough for all");
    await receiver.publish(new Placed(1_001));
    assert.deepEqual(ascending(await seen.reach(502)), [...sent, 1_000, 1_001]);
  });

  promise("P6 a second stop gives the same promise, and afterwards publish rejects as stopped", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const bus = await stage.listen(shipping, Placed, () => {});

    const first = bus.stop();
    assert.equal(bus.stop(), first);
    await first;
    assert.equal(bus.stop(), first);

    const refused = { code: "stopped", outcome: "refused" };
    await assert.rejects(bus.publish(new Placed(1)), refused);
    await assert.rejects(bus.send(shipping, new Placed(1)), refused);
    assert.equal(bus.health().status, "stopped");
  });

  promise("P6 a bus that was never started, or only published, stops as well, and `await using` does it", async (stage) => {
    const Placed = stage.message("placed");
    await stage.bus().stop();
    const publisher = stage.bus();
    await publisher.publish(new Placed(1));
    await publisher[Symbol.asyncDispose]();
    await assert.rejects(publisher.publish(new Placed(2)), { code: "stopped" });
  });

  promise("P6 instances that come and go while messages flow lose none", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const consumer = async (note: Note): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.add(note.n);
    };
    const publisher = stage.bus();
    let instance = await stage.listen(shipping, Placed, consumer);

    let published = 0;
    for (let change = 0; change < 5; change++) {
      const batch = numbersBelow(200).map((n) => publisher.publish(new Placed(published + n)));
      published += 200;
      const next = await stage.listen(shipping, Placed, consumer);
      await instance.stop();
      instance = next;
      await Promise.all(batch);
    }

    assert.deepEqual(ascending([...new Set(await seen.reach(1_000))]), numbersBelow(1_000));
    assert.equal(seen.items.length, 1_000, "a clean stop repeats nothing");
  });
}
