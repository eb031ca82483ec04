import assert from "node:assert/strict";
import type { ConsumeContext } from "../../src/index.js";
import type { Suite } from "./suite.js";

/** P1 and P2 for what a consumer sends: it leaves when the run has succeeded, and a repeated run sends the same ids. */
export function p1HeldMessages({ promise }: Suite): void {
  promise("P1 what a consumer publishes leaves only after it has succeeded", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    const tracking = stage.name("tracking");
    await stage.listen(tracking, Shipped, (note) => arrived.add(note.n));
    const held = stage.collector<number>();
    const gate = stage.gate();
    const bus = await stage.listen(stage.name("shipping"), Placed, async (_note, context) => {
      await context.publish(new Shipped(1));
      await context.send(tracking, new Shipped(2));
      held.add(1);
      await gate.opened;
    });
    const publisher = stage.bus();

    await bus.publish(new Placed(1));
    await held.reach(1);
    await publisher.publish(new Shipped(3));
    assert.deepEqual(await arrived.reach(1), [3], "a message from outside overtakes what is held");
    gate.open();

    assert.deepEqual([...(await arrived.reach(3))].sort(), [1, 2, 3]);
  });

  promise("P1 what a failed run published is dropped, and what the next one publishes leaves", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const consumer = async (_note: object, context: ConsumeContext): Promise<void> => {
      await context.publish(new Shipped(context.attempt));
      if (context.attempt < 3) throw new Error("not yet");
    };
    const retry = { immediate: 1, immediateDelay: "1ms", delays: ["100ms"] } as const;
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { retry });

    await bus.publish(new Placed(1));
    assert.deepEqual(await arrived.reach(1), [3]);
    await bus.publish(new Shipped(9));

    assert.deepEqual(await arrived.reach(2), [3, 9]);
  });

  promise("P1 what a message that was given up on published is never sent", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const shipping = stage.name("shipping");
    const contexts: ConsumeContext[] = [];
    const bus = await stage.listen(shipping, Placed, async (_note, context) => {
      contexts.push(context);
      await context.publish(new Shipped(1));
      throw new Error("always");
    });

    await bus.publish(new Placed(1));
    await stage.letter(bus, shipping);
    const [context] = contexts;
    assert.ok(context);
    await assert.rejects(context.publish(new Shipped(2)), { code: "run-ended" }, "a failed run can publish nothing any more");
    await bus.publish(new Shipped(3));

    assert.deepEqual(await arrived.reach(1), [3]);
  });

  promise("P1 what is published immediately leaves while the consumer still runs", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const ended = stage.collector<number>();
    const bus = await stage.listen(stage.name("shipping"), Placed, async (_note, context) => {
      await context.publish(new Shipped(1), { immediately: true });
      await arrived.reach(1);
      ended.add(1);
    });

    await bus.publish(new Placed(1));

    await ended.reach(1);
    assert.deepEqual(arrived.items, [1]);
  });

  promise("P1 a bus that is used inside a consumer joins the message being handled", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<readonly [number, string]>();
    await stage.listen(stage.name("tracking"), Shipped, (note, context) => arrived.add([note.n, context.correlationId]));
    const bus = stage.bus();
    stage
      .endpoint(bus, stage.name("shipping"), { retry: { immediate: 1, immediateDelay: "1ms", delays: [] } })
      .subscribe(Placed, async (_note, context) => {
        await bus.publish(new Shipped(context.attempt));
        if (context.attempt === 1) throw new Error("not yet");
      });
    await bus.start();

    await bus.publish(new Placed(1), { correlationId: "order-17" });

    assert.deepEqual(await arrived.reach(1), [[2, "order-17"]]);
  });

  promise("P1 the context of a run that has succeeded sends directly", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const arrived = stage.collector<number>();
    await stage.listen(stage.name("tracking"), Shipped, (note) => arrived.add(note.n));
    const contexts = stage.collector<ConsumeContext>();
    const shipping = stage.name("shipping");
    const bus = await stage.listen(shipping, Placed, (_note, context) => contexts.add(context));
    await bus.publish(new Placed(1));
    const [context] = await contexts.reach(1);
    await stage.counted(bus, shipping, "handled", 1);

    await context?.publish(new Shipped(1));

    assert.deepEqual(await arrived.reach(1), [1]);
  });

  promise("P1 a held command that turns out unroutable counts as the failure of the run", async (stage) => {
    const [Placed, Refund] = [stage.message("placed"), stage.message("refund")];
    const [shipping, missing] = [stage.name("shipping"), stage.name("nobody")];
    const attempts = stage.collector<number>();
    const consumer = async (_note: object, context: ConsumeContext): Promise<void> => {
      attempts.add(context.attempt);
      await context.send(missing, new Refund(1));
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 1, immediateDelay: "1ms", delays: [] } });

    await bus.publish(new Placed(1));

    const { failure } = await stage.letter(bus, shipping);
    assert.deepEqual(attempts.items, [1, 2]);
    assert.equal(failure.reason, "failed");
    assert.ok(failure.errorMessage?.includes(missing), `the failure names the endpoint: ${failure.errorMessage}`);
  });

  promise("P2 a run that is repeated sends the same ids, so that what it did send is recognised downstream", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const tracking = stage.name("tracking");
    const arrived = stage.collector<string>();
    const downstream = await stage.listen(tracking, Shipped, (_note, context) => arrived.add(context.messageId));
    const consumer = async (note: { readonly n: number }, context: ConsumeContext): Promise<void> => {
      await context.publish(new Shipped(note.n), { immediately: true });
      if (context.attempt < 3) throw new Error("not yet");
    };
    const retry = { immediate: 1, immediateDelay: "1ms", delays: ["100ms"] } as const;
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { retry });

    await bus.publish(new Placed(1));

    await stage.counted(downstream, tracking, "duplicates", 2);
    assert.equal(arrived.items.length, 1, "three runs sent it, and it was handled once");
    assert.match(arrived.items[0] ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/, "a derived id is 26 characters of the ULID's alphabet");
  });

  promise("P2 a message that is handled twice sends the same ids twice", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const tracking = stage.name("tracking");
    const downstream = await stage.listen(tracking, Shipped, () => {});
    const consumer = (note: { readonly n: number }, context: ConsumeContext): Promise<void> => context.publish(new Shipped(note.n));
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { deduplication: false });

    await bus.publish(new Placed(1), { messageId: "order-1" });
    await bus.publish(new Placed(1), { messageId: "order-1" });

    await stage.counted(downstream, tracking, "duplicates", 1);
    assert.equal(stage.health(downstream, tracking).counts.handled, 1);
  });

  promise("P2 a repeated run that decides otherwise sends another id, and equal messages of one run have different ids", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const tracking = stage.name("tracking");
    const arrived = stage.collector<readonly [number, string]>();
    const downstream = await stage.listen(tracking, Shipped, (note, context) => arrived.add([note.n, context.messageId]));
    const consumer = async (_note: object, context: ConsumeContext): Promise<void> => {
      await context.publish(new Shipped(context.attempt), { immediately: true });
      if (context.attempt === 1) throw new Error("not yet");
      await context.publish(new Shipped(7));
      await context.publish(new Shipped(7));
      await context.publish(new Shipped(7), { messageId: "mine" });
    };
    const retry = { immediate: 1, immediateDelay: "1ms", delays: [] } as const;
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { retry });

    await bus.publish(new Placed(1));

    const seen = await arrived.reach(5);
    assert.deepEqual(seen.map(([n]) => n).sort(), [1, 2, 7, 7, 7]);
    assert.equal(new Set(seen.map(([, id]) => id)).size, 5);
    assert.ok(seen.some(([, id]) => id === "mine"));
    assert.equal(stage.health(downstream, tracking).counts.duplicates, 0);
  });
}
