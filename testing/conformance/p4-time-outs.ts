import assert from "node:assert/strict";
import type { ConsumeContext } from "../../src/index.js";
import type { Note } from "./note.js";
import type { Suite } from "./suite.js";

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })));

/** P4 for handlers that take too long. */
export function p4TimeOuts({ promise }: Suite): void {
  promise(
    "P4 a run that takes too long is aborted, is not retried at once but later, and is then dead-lettered as timed out",
    async (stage) => {
      const Placed = stage.message("placed");
      const shipping = stage.name("shipping");
      const runs = stage.collector<{ readonly attempt: number; readonly began: number; readonly ended: number }>();
      const consumer = async (_note: Note, context: ConsumeContext): Promise<void> => {
        const began = performance.now();
        await aborted(context.signal);
        runs.add({ attempt: context.attempt, began, ended: performance.now() });
      };
      const retry = { immediate: 3, immediateDelay: "1ms", delays: ["200ms"] } as const;
      const bus = await stage.listen(shipping, Placed, consumer, { handlerTimeout: "100ms", retry });

      await bus.publish(new Placed(1));

      const { failure } = await stage.letter(bus, shipping);
      const [first, second] = await runs.reach(2);
      assert.ok(first && second);
      assert.equal(runs.items.length, 2, "no immediate retry after a timed-out run");
      assert.ok(second.began - first.ended >= 190, `the retry waited ${second.began - first.ended} ms`);
      assert.equal(failure.reason, "timed-out");
      assert.equal(failure.attempts, 2);
      assert.equal(stage.health(bus, shipping).counts.handled, 0, "what a timed-out run returned does not count");
    },
  );

  promise("P4 a run that has timed out can publish nothing any more, and what it had published is dropped", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const shipping = stage.name("shipping");
    const errors = stage.collector<unknown>();
    const consumer = async (_note: Note, context: ConsumeContext): Promise<void> => {
      await context.publish(new Shipped(1));
      await aborted(context.signal);
      const attempts = [
        context.publish(new Shipped(2)),
        context.publish(new Shipped(3), { immediately: true }),
        bus.publish(new Shipped(4)),
      ];
      for (const result of await Promise.allSettled(attempts))
        errors.add(result.status === "rejected" ? result.reason.code : "it was taken");
    };
    const bus = await stage.listen(shipping, Placed, consumer, { handlerTimeout: "100ms" });

    await bus.publish(new Placed(1));
    assert.deepEqual(await errors.reach(3), ["run-ended", "run-ended", "run-ended"]);
    await stage.letter(bus, shipping);
    await bus.publish(new Shipped(5));

    assert.deepEqual(await arrived.reach(1), [5]);
  });

  promise("P4 a handler that ignores its time-out frees its slot and is counted as a stray", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const gate = stage.gate();
    const running = stage.collector<number>();
    const together = stage.gate();
    const consumer = async (note: Note): Promise<void> => {
      running.add(note.n);
      if (note.n === 1) return gate.opened;
      if (running.items.length === 3) together.open();
      await together.opened;
    };
    const bus = await stage.listen(shipping, Placed, consumer, { concurrency: 2, handlerTimeout: "300ms" });

    await bus.publish(new Placed(1));
    const letter = await stage.letter(bus, shipping);
    assert.equal(letter.failure.reason, "timed-out");
    assert.equal(stage.health(bus, shipping).strays, 1);
    await bus.publish(new Placed(2));
    await bus.publish(new Placed(3));
    await stage.counted(bus, shipping, "handled", 2);
    gate.open();

    await stage.eventually("no stray is left", () => stage.health(bus, shipping).strays === 0);
    assert.equal(stage.health(bus, shipping).counts.handled, 2);
  });

  promise("P4 an endpoint with as many strays as slots takes nothing more and says that it is stalled, until one ends", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const gate = stage.gate();
    const running = stage.collector<number>();
    const consumer = async (note: Note): Promise<void> => {
      running.add(note.n);
      if (note.n === 1) await gate.opened;
    };
    const bus = await stage.listen(shipping, Placed, consumer, { concurrency: 1, handlerTimeout: "100ms" });

    await bus.publish(new Placed(1));
    await stage.eventually("the endpoint is stalled", () => stage.health(bus, shipping).status === "stalled");
    assert.ok(stage.health(bus, shipping).reason);
    assert.equal(bus.health().status, "degraded");
    await bus.publish(new Placed(2));
    await stage.letter(bus, shipping);
    assert.deepEqual(running.items, [1]);
    gate.open();

    assert.deepEqual(await running.reach(2), [1, 2]);
    await stage.eventually("the endpoint is up again", () => stage.health(bus, shipping).status === "up");
  });
}
