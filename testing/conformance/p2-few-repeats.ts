import assert from "node:assert/strict";
import type { Note } from "./note.js";
import type { Suite } from "./suite.js";

const ID = { messageId: "order-1" } as const;

/** P2: a message id whose handling succeeded at an endpoint is not handled there again; one whose handling failed is. */
export function p2FewRepeats({ promise }: Suite): void {
  promise("P2 a copy that arrives while the first is being handled is not handled", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const running = stage.collector<number>();
    const gate = stage.gate();
    const bus = await stage.listen(shipping, Placed, async (note) => {
      running.add(note.n);
      if (note.n === 1) await gate.opened;
    });

    await bus.publish(new Placed(1), ID);
    await running.reach(1);
    await bus.publish(new Placed(1), ID);
    await bus.publish(new Placed(2));
    assert.deepEqual(await running.reach(2), [1, 2], "the copy waits, its neighbour does not");
    gate.open();

    await stage.counted(bus, shipping, "duplicates", 1);
    await stage.counted(bus, shipping, "handled", 2);
    assert.deepEqual(running.items, [1, 2]);
    assert.equal(stage.health(bus, shipping).counts.deadLettered, 0, "looking again later costs no attempt");
  });

  promise("P2 a copy that arrives while the first is being handled is handled when that run fails for good", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const running = stage.collector<number>();
    const gate = stage.gate();
    let runs = 0;
    const bus = await stage.listen(shipping, Placed, async (note) => {
      running.add(note.n);
      if (++runs === 1) {
        await gate.opened;
        throw new Error("the first run fails");
      }
    });

    await bus.publish(new Placed(1), ID);
    await running.reach(1);
    await bus.publish(new Placed(2), ID);
    gate.open();

    assert.deepEqual(await running.reach(2), [1, 2]);
    await stage.counted(bus, shipping, "handled", 1);
    await stage.counted(bus, shipping, "deadLettered", 1);
    assert.equal(stage.health(bus, shipping).counts.duplicates, 0);
  });

  promise("P2 a copy that arrives after the first was handled is not handled, however often it comes", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const bus = await stage.listen(shipping, Placed, (note) => seen.add(note.n));

    await bus.publish(new Placed(1), ID);
    await stage.counted(bus, shipping, "handled", 1);
    for (let copy = 0; copy < 3; copy++) await bus.publish(new Placed(1), ID);
    await bus.send(shipping, new Placed(1), ID);
    await bus.publish(new Placed(2));

    await stage.counted(bus, shipping, "duplicates", 4);
    assert.deepEqual(await seen.reach(2), [1, 2]);
  });

  promise("P2 a copy that arrives after the first was dead-lettered is handled", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const attempts = stage.collector<number>();
    const bus = await stage.listen(shipping, Placed, (note, context) => {
      attempts.add(context.attempt);
      if (note.n === 1) throw new Error("the first copy fails");
    });

    await bus.publish(new Placed(1), ID);
    await stage.letter(bus, shipping);
    await bus.publish(new Placed(2), ID);

    assert.deepEqual(await attempts.reach(2), [1, 1]);
    await stage.counted(bus, shipping, "handled", 1);
    assert.equal(stage.health(bus, shipping).counts.duplicates, 0);
  });

  promise("P2 our own retries are never taken for copies", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const attempts = stage.collector<number>();
    const retry = { immediate: 1, immediateDelay: "1ms", delays: ["100ms", "150ms"] } as const;
    const consumer = (_note: Note, { attempt }: { readonly attempt: number }): void => {
      attempts.add(attempt);
      if (attempt < 6) throw new Error("not yet");
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry });

    await bus.publish(new Placed(1), ID);
    assert.deepEqual(await attempts.reach(6), [1, 2, 3, 4, 5, 6]);
    await stage.counted(bus, shipping, "handled", 1);
    await bus.publish(new Placed(1), ID);

    await stage.counted(bus, shipping, "duplicates", 1);
    assert.equal(attempts.items.length, 6);
  });

  promise("P2 a replayed message is handled, and a copy that comes after it is not", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    let mended = false;
    const bus = await stage.listen(shipping, Placed, (note) => {
      if (!mended) throw new Error("not mended yet");
      seen.add(note.n);
    });
    await bus.publish(new Placed(1), ID);
    await stage.letter(bus, shipping);
    mended = true;

    const { replayed } = await bus.deadLetters(shipping).process(() => "replay");
    assert.equal(replayed, 1);
    await seen.reach(1);
    await stage.counted(bus, shipping, "handled", 1);
    await bus.publish(new Placed(2), ID);

    await stage.counted(bus, shipping, "duplicates", 1);
    assert.deepEqual(seen.items, [1]);
  });

  promise("P2 each endpoint remembers for itself, and by the id alone", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const [first, second] = [stage.name("shipping"), stage.name("email")];
    const seen = stage.collector<string>();
    const bus = stage.bus();
    for (const name of [first, second]) {
      stage.mixedEndpoint(bus, name).subscribe([Placed, Shipped], (note, context) => seen.add(`${context.endpoint} ${note.n}`));
    }
    await bus.start();

    await bus.publish(new Placed(1), ID);
    await stage.counted(bus, first, "handled", 1);
    await bus.send(first, new Shipped(2), ID);

    await stage.counted(bus, first, "duplicates", 1);
    assert.deepEqual([...(await seen.reach(2))].sort(), [`${first} 1`, `${second} 1`].sort());
  });

  promise("P2 with deduplication switched off every copy is handled", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<number>();
    const bus = await stage.listen(stage.name("shipping"), Placed, (note) => seen.add(note.n), { deduplication: false });

    await bus.publish(new Placed(1), ID);
    await bus.publish(new Placed(2), ID);

    assert.deepEqual([...(await seen.reach(2))].sort(), [1, 2]);
  });
}
