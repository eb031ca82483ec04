import assert from "node:assert/strict";
import { PublishError } from "../../src/index.js";
import { ascending, numbersBelow } from "./note.js";
import type { Suite } from "./suite.js";

/** P1: what was published is handled by every endpoint it is for, or is among its dead letters. */
export function p1NothingLost({ promise, competing }: Suite): void {
  promise("P1 every endpoint that subscribed gets its own copy of an event", async (stage) => {
    const Placed = stage.message("placed");
    const first = stage.collector<number>();
    const second = stage.collector<number>();
    const third = stage.collector<number>();
    const bus = stage.bus();
    stage.endpoint(bus, stage.name("shipping")).subscribe(Placed, (note) => first.add(note.n));
    stage.endpoint(bus, stage.name("email")).subscribe(Placed, (note) => second.add(note.n));
    await bus.start();
    await stage.listen(stage.name("audit"), Placed, (note) => third.add(note.n));

    await Promise.all(numbersBelow(20).map((n) => bus.publish(new Placed(n))));

    for (const seen of [first, second, third]) assert.deepEqual(ascending(await seen.reach(20)), numbersBelow(20));
  });

  promise("P1 an endpoint gets the types that it subscribed to and no others", async (stage) => {
    const Placed = stage.message("placed");
    const Cancelled = stage.message("cancelled");
    const seen = stage.collector<string>();
    const endpoint = stage.name("shipping");
    const bus = await stage.listen(endpoint, Placed, (note, context) => seen.add(`${context.messageType} ${note.n}`));

    await bus.publish(new Cancelled(1));
    await bus.publish(new Placed(2));

    assert.deepEqual(await seen.reach(1), [`${Placed.messageType} 2`]);
    await stage.counted(bus, endpoint, "handled", 1);
    const { counts } = stage.health(bus, endpoint);
    assert.deepEqual([counts.handled, counts.retried, counts.deadLettered], [1, 0, 0]);
  });

  promise("P1 a consumer of several types gets each as an instance of its class", async (stage) => {
    const Placed = stage.message("placed");
    const Cancelled = stage.message("cancelled");
    const seen = stage.collector<string>();
    const bus = stage.bus();
    stage.mixedEndpoint(bus, stage.name("log")).subscribe([Placed, Cancelled], (note) => {
      seen.add(`${note.n} ${note instanceof Placed} ${note instanceof Cancelled}`);
    });
    await bus.start();

    await bus.publish(new Placed(1));
    await bus.publish(new Cancelled(2));

    assert.deepEqual([...(await seen.reach(2))].sort(), ["1 true false", "2 false true"]);
  });

  promise("P1 instances of an endpoint share its messages, none missing and none twice", async (stage) => {
    const Placed = stage.message("placed");
    const endpoint = stage.name("shipping");
    const seen = stage.collector<number>();
    for (let instance = 0; instance < 3; instance++) {
      await stage.listen(endpoint, Placed, (note) => seen.add(note.n), { deduplication: false });
    }
    const publisher = stage.bus();

    await Promise.all(numbersBelow(300).map((n) => publisher.publish(new Placed(n))));
    await seen.reach(300);
    await publisher.publish(new Placed(300));

    assert.deepEqual(ascending(await seen.reach(301)), numbersBelow(301));
  });

  if (competing) {
    promise("P1 instances of an endpoint compete: while one is busy the others go on", async (stage) => {
      const Placed = stage.message("placed");
      const endpoint = stage.name("shipping");
      const busy = stage.collector<number>();
      const gate = stage.gate();
      for (let instance = 0; instance < 3; instance++) {
        const consumer = async (): Promise<void> => {
          busy.add(instance);
          await gate.opened;
        };
        await stage.listen(endpoint, Placed, consumer, { concurrency: 1, prefetch: 1 });
      }
      const publisher = stage.bus();

      await Promise.all(numbersBelow(3).map((n) => publisher.publish(new Placed(n))));

      assert.deepEqual(ascending(await busy.reach(3)), [0, 1, 2]);
    });
  }

  promise("P1 a command arrives at the endpoint that it names and nowhere else", async (stage) => {
    const Refund = stage.message("refund");
    const billing = stage.name("billing");
    const named = stage.collector<number>();
    const other = stage.collector<number>();
    const bus = await stage.listen(billing, Refund, (note) => named.add(note.n));
    await stage.listen(stage.name("audit"), Refund, (note) => other.add(note.n));

    await bus.send(billing, new Refund(1));
    await bus.publish(new Refund(2));

    assert.deepEqual(ascending(await named.reach(2)), [1, 2]);
    assert.deepEqual(await other.reach(1), [2]);
  });

  promise("P1 a command for an endpoint that does not exist rejects as unroutable and says that it was refused", async (stage) => {
    const Refund = stage.message("refund");
    const missing = stage.name("nobody");
    const bus = stage.bus();

    await assert.rejects(bus.send(missing, new Refund(1), { messageId: "refund-1" }), (error) => {
      assert.ok(error instanceof PublishError);
      assert.deepEqual([error.code, error.outcome, error.messageId], ["unroutable", "refused", "refund-1"]);
      assert.ok(error.message.includes(missing), `the text names the endpoint: ${error.message}`);
      return true;
    });
    await bus.publish(new Refund(2));
  });

  promise("P1 publishing an event that nobody subscribed to succeeds", async (stage) => {
    const Placed = stage.message("placed");
    const bus = stage.bus();
    await bus.publish(new Placed(1));
    await bus.start();
    await bus.publish(new Placed(2));
  });

  promise("P1 publishing needs no start", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    await stage.listen(shipping, Placed, (note) => seen.add(note.n));
    const publisher = stage.bus();

    await Promise.all([publisher.publish(new Placed(1)), publisher.send(shipping, new Placed(2)), publisher.publish(new Placed(3))]);

    assert.deepEqual(ascending(await seen.reach(3)), [1, 2, 3]);
  });

  promise("P1 what is published while no instance of an endpoint runs waits for the next one", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const publisher = stage.bus();
    await publisher.start();
    const before = await stage.listen(shipping, Placed, () => {});
    await before.stop();

    await Promise.all(numbersBelow(50).map((n) => publisher.publish(new Placed(n))));
    await publisher.send(shipping, new Placed(50));
    const seen = stage.collector<number>();
    await stage.listen(shipping, Placed, (note) => seen.add(note.n));

    assert.deepEqual(ascending(await seen.reach(51)), numbersBelow(51));
  });

  promise("P1 a subscription outlives the code that made it until it is taken back", async (stage) => {
    const Placed = stage.message("placed");
    const Cancelled = stage.message("cancelled");
    const shipping = stage.name("shipping");
    const publisher = stage.bus();
    await publisher.start();
    const before = stage.bus();
    stage.mixedEndpoint(before, shipping).subscribe([Placed, Cancelled], () => {});
    await before.start();
    await before.stop();

    const after = stage.bus();
    const seen = stage.collector<string>();
    stage
      .endpoint(after, shipping)
      .subscribe(Placed, (note) => seen.add(`placed ${note.n}`))
      .unsubscribe(Cancelled);
    await after.start();
    await publisher.publish(new Cancelled(1));
    await publisher.publish(new Placed(2));

    assert.deepEqual(await seen.reach(1), ["placed 2"]);
    await stage.counted(after, shipping, "handled", 1);
    assert.equal(stage.health(after, shipping).counts.deadLettered, 0);
  });

  promise("P1 of 10,000 messages each is handled at each endpoint, or is among its dead letters, and none twice", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const shipped = stage.collector<number>();
    const emailed = stage.collector<number>();
    const options = { deduplication: false, concurrency: 50, prefetch: 200 } as const;
    const bus = stage.bus();
    stage.endpoint(bus, shipping, options).subscribe(Placed, (note) => {
      if (note.n % 100 === 0) throw new Error("every hundredth fails");
      shipped.add(note.n);
    });
    stage.endpoint(bus, stage.name("email"), options).subscribe(Placed, (note) => emailed.add(note.n));
    await bus.start();

    for (let sent = 0; sent < 10_000; sent += 1_000) {
      await Promise.all(numbersBelow(1_000).map((n) => bus.publish(new Placed(sent + n))));
    }

    assert.deepEqual(ascending(await emailed.reach(10_000)), numbersBelow(10_000));
    await shipped.reach(9_900);
    await stage.counted(bus, shipping, "deadLettered", 100);
    const letters = await stage.letters(bus, shipping, 100);
    const deadNumbers = letters.map((letter) => (JSON.parse(new TextDecoder().decode(letter.body)) as { data: { n: number } }).data.n);
    assert.deepEqual(ascending([...shipped.items, ...deadNumbers]), numbersBelow(10_000));
  });
}
