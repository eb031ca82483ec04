import assert from "node:assert/strict";
import type { ConsumeContext } from "../../src/index.js";
import type { Suite } from "./suite.js";

const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** P1 for what travels beside the payload: ids, correlation, keys and headers. */
export function p1Metadata({ promise }: Suite): void {
  promise("P1 a first message begins a conversation and carries what publish was not told", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const contexts = stage.collector<ConsumeContext>();
    const bus = await stage.listen(shipping, Placed, (_note, context) => contexts.add(context));
    const before = Date.now();

    await bus.publish(new Placed(1));

    const [context] = await contexts.reach(1);
    assert.ok(context);
    assert.match(context.messageId, ULID);
    assert.equal(context.correlationId, context.messageId);
    assert.ok(context.conversationId.length > 0);
    assert.equal(context.causationId, undefined);
    assert.equal(context.partitionKey, undefined);
    assert.equal(context.messageType, Placed.messageType);
    assert.equal(context.endpoint, shipping);
    assert.equal(context.attempt, 1);
    assert.deepEqual({ ...context.headers }, {});
    assert.ok(context.sentAt.getTime() >= before && context.sentAt.getTime() <= Date.now(), context.sentAt.toISOString());
  });

  promise("P1 what publish is told arrives", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const contexts = stage.collector<ConsumeContext>();
    const bus = await stage.listen(shipping, Placed, (_note, context) => contexts.add(context));
    const options = {
      messageId: "order 17/žluť",
      correlationId: "checkout-4",
      partitionKey: "customer:9",
      headers: { "tenant-id": "t1", "x-9": "" },
    };

    await bus.send(shipping, new Placed(1), options);

    const [context] = await contexts.reach(1);
    assert.ok(context);
    const { messageId, correlationId, partitionKey, headers } = context;
    assert.deepEqual({ messageId, correlationId, partitionKey, headers: { ...headers } }, options);
  });

  promise("P1 correlation and conversation are handed on, and each message names the one that caused it", async (stage) => {
    const types = [stage.message("placed"), stage.message("shipped"), stage.message("delivered")] as const;
    const contexts = stage.collector<ConsumeContext>();
    const [Placed, Shipped, Delivered] = types;
    await stage.listen(stage.name("tracking"), Delivered, (_note, context) => contexts.add(context));
    const courier = stage.name("courier");
    await stage.listen(courier, Shipped, async (_note, context) => {
      contexts.add(context);
      await context.publish(new Delivered(3));
    });
    const bus = await stage.listen(stage.name("shipping"), Placed, async (_note, context) => {
      contexts.add(context);
      await context.send(courier, new Shipped(2));
    });

    await bus.publish(new Placed(1), { correlationId: "checkout-4" });

    const chain = [...(await contexts.reach(3))];
    const [placed, shipped, delivered] = types.map(({ messageType }) => chain.find((context) => context.messageType === messageType));
    assert.ok(placed && shipped && delivered);
    for (const context of chain) {
      assert.equal(context.correlationId, "checkout-4");
      assert.equal(context.conversationId, placed.conversationId);
    }
    assert.equal(placed.causationId, undefined);
    assert.equal(shipped.causationId, placed.messageId);
    assert.equal(delivered.causationId, shipped.messageId);
  });

  promise("P1 the headers that the bus is told to propagate are handed on, the others are not", async (stage) => {
    const [Placed, Shipped] = [stage.message("placed"), stage.message("shipped")];
    const seen = stage.collector<Readonly<Record<string, string>>>();
    await stage.listen(stage.name("tracking"), Shipped, (_note, context) => seen.add({ ...context.headers }));
    const bus = await stage.listen(
      stage.name("shipping"),
      Placed,
      async (_note, context) => {
        await context.publish(new Shipped(1));
        await context.publish(new Shipped(2), { headers: { "tenant-id": "t2", own: "1" } });
      },
      {},
      { propagateHeaders: ["tenant-id"] },
    );

    await bus.publish(new Placed(1), { headers: { "tenant-id": "t1", private: "p" } });

    const byTenant = [...(await seen.reach(2))].sort((a, b) => (a["tenant-id"] ?? "").localeCompare(b["tenant-id"] ?? ""));
    assert.deepEqual(byTenant, [{ "tenant-id": "t1" }, { "tenant-id": "t2", own: "1" }]);
  });

  promise("P1 metadata is the same at every attempt, over immediate and delayed retries", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<object>();
    const consumer = (_note: object, context: ConsumeContext): void => {
      const { messageId, correlationId, conversationId, causationId, partitionKey, endpoint, messageType } = context;
      const headers = { ...context.headers };
      seen.add({
        messageId,
        correlationId,
        conversationId,
        causationId,
        partitionKey,
        endpoint,
        messageType,
        headers,
        sentAt: +context.sentAt,
      });
      if (context.attempt < 4) throw new Error("not yet");
    };
    const retry = { immediate: 1, immediateDelay: "1ms", delays: ["100ms"] } as const;
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { retry });

    await bus.publish(new Placed(1), { partitionKey: "k", correlationId: "c", headers: { "tenant-id": "příliš" } });

    const [first, ...others] = await seen.reach(4);
    for (const other of others) assert.deepEqual(other, first);
  });
}
