import assert from "node:assert/strict";
import { NonRetryableError } from "../../src/index.js";
import type { Note } from "./note.js";
import type { Suite } from "./suite.js";

/** Clocks count whole milliseconds: a wait may look this much shorter than it was. */
const CLOCK_GRAIN_MS = 2;

type Attempt = { readonly attempt: number };

/** P4 for the road of a message that fails: how often it runs, when, and what gives it up at once. */
export function p4Retries({ promise }: Suite): void {
  promise("P4 a failing message runs (1 + immediate) x (1 + delays) times, numbered through, and is then dead-lettered", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const attempts = stage.collector<number>();
    const retry = { immediate: 2, immediateDelay: "1ms", delays: ["50ms", "100ms"] } as const;
    const consumer = (_note: Note, { attempt }: Attempt): void => {
      attempts.add(attempt);
      throw new Error(`attempt ${attempt}`);
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry });

    await bus.publish(new Placed(1));

    const { failure } = await stage.letter(bus, shipping);
    assert.deepEqual(attempts.items, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(failure.attempts, 9);
    assert.equal(failure.errorMessage, "attempt 9");
    const { counts } = stage.health(bus, shipping);
    assert.equal(counts.handled, 0);
    assert.ok(counts.retried >= 2, `retries are counted: ${counts.retried}`);
  });

  promise("P4 without retries a failing message runs once", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const bus = await stage.listen(shipping, Placed, (note) => {
      seen.add(note.n);
      throw new Error("always");
    });

    await bus.publish(new Placed(1));

    assert.equal((await stage.letter(bus, shipping)).failure.attempts, 1);
    assert.deepEqual(seen.items, [1]);
  });

  promise("P4 a message that succeeds at its last attempt is handled and not dead-lettered", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const consumer = (_note: Note, { attempt }: Attempt): void => {
      if (attempt < 4) throw new Error("not yet");
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 1, immediateDelay: "1ms", delays: ["50ms"] } });

    await bus.publish(new Placed(1));

    await stage.counted(bus, shipping, "handled", 1);
    assert.equal(stage.health(bus, shipping).counts.deadLettered, 0);
    assert.equal((await stage.letters(bus, shipping, 0)).length, 0);
  });

  promise("P4 a delayed retry is never early", async (stage) => {
    const Placed = stage.message("placed");
    const delays = [40, 150, 300];
    const runs = stage.collector<{ readonly n: number; readonly attempt: number; readonly at: number }>();
    const consumer = (note: Note, { attempt }: Attempt): void => {
      runs.add({ n: note.n, attempt, at: performance.now() });
      throw new Error("always");
    };
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { retry: { immediate: 0, delays } });

    await Promise.all([1, 2, 3, 4, 5].map((n) => bus.publish(new Placed(n))));

    const all = await runs.reach(20);
    for (const n of [1, 2, 3, 4, 5]) {
      const own = all.filter((run) => run.n === n).sort((a, b) => a.attempt - b.attempt);
      delays.forEach((delayMs, round) => {
        const waited = (own[round + 1]?.at ?? 0) - (own[round]?.at ?? 0);
        assert.ok(waited >= delayMs - CLOCK_GRAIN_MS, `message ${n} waited ${waited.toFixed(1)} ms instead of ${delayMs}`);
      });
    }
  });

  promise("P4 while a message waits for its delayed retry the consumer is free for others", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<string>();
    const consumer = (note: Note, { attempt }: Attempt): void => {
      seen.add(`${note.n}/${attempt}`);
      if (note.n === 1 && attempt === 1) throw new Error("not yet");
    };
    // With `order: "key"` what waits keeps its place in the prefetch, and in half of it, where a broker's session may not have all.
    const options = { concurrency: 1, prefetch: 4, retry: { immediate: 0, delays: ["3s"] } } as const;
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, options);

    await bus.publish(new Placed(1));
    await seen.reach(1);
    // They have the whole delay, which on a busy machine a broker with sessions was seen to need a second of.
    for (const n of [2, 3, 4]) await bus.publish(new Placed(n));

    assert.deepEqual(await seen.reach(5), ["1/1", "2/1", "3/1", "4/1", "1/2"]);
  });

  promise("P4 a delayed retry comes back to the endpoint that failed and to no other", async (stage) => {
    const Placed = stage.message("placed");
    const [first, second] = [stage.collector<number>(), stage.collector<number>()];
    const bus = stage.bus();
    const retry = { immediate: 0, delays: ["50ms"] } as const;
    stage.endpoint(bus, stage.name("shipping"), { retry }).subscribe(Placed, (note, { attempt }) => {
      first.add(note.n);
      if (attempt === 1) throw new Error("not yet");
    });
    stage.endpoint(bus, stage.name("email"), { retry, deduplication: false }).subscribe(Placed, (note) => second.add(note.n));
    await bus.start();

    await bus.publish(new Placed(1));
    assert.deepEqual(await first.reach(2), [1, 1]);
    await bus.publish(new Placed(2));

    assert.deepEqual(await second.reach(2), [1, 2]);
  });

  promise(
    "P1 a delayed retry that has no place in the broker loses nothing: the message is retried when the place is there",
    async (stage) => {
      const Placed = stage.message("placed");
      const shipping = stage.name("shipping");
      const seen = stage.collector<number>();
      const consumer = (note: Note, { attempt }: Attempt): void => {
        if (attempt === 1) throw new Error("not yet");
        seen.add(note.n);
      };
      const withoutDelays = await stage.listen(shipping, Placed, consumer);
      await withoutDelays.stop();
      const retry = { immediate: 0, delays: ["70ms"] } as const;
      const bus = await stage.listen(shipping, Placed, consumer, { retry }, { topology: "none" });

      await bus.publish(new Placed(1));
      await stage.eventually("it has failed, and waits or is retried", () => {
        const { status, counts } = stage.health(bus, shipping);
        return status === "paused" || counts.retried > 0;
      });
      const creator = stage.bus();
      stage.endpoint(creator, shipping, { retry }).subscribe(Placed, consumer);
      await creator.start();

      assert.deepEqual(await seen.reach(1), [1]);
      assert.equal(stage.health(bus, shipping).counts.deadLettered, 0);
    },
  );

  promise("P4 a NonRetryableError gives the message up after one run", async (stage) => {
    class Unpayable extends NonRetryableError {}
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const consumer = (note: Note): void => {
      seen.add(note.n);
      throw note.n === 1 ? new NonRetryableError("no such customer") : new Unpayable("no money");
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 3, delays: ["50ms"] } });

    await bus.publish(new Placed(1));
    await bus.publish(new Placed(2));

    const letters = await stage.letters(bus, shipping, 2);
    assert.deepEqual([...seen.items].sort(), [1, 2]);
    for (const { failure } of letters) assert.deepEqual([failure.reason, failure.attempts], ["failed", 1]);
    assert.deepEqual(letters.map(({ failure }) => failure.errorMessage).sort(), ["no money", "no such customer"]);
  });

  promise("P4 what giveUpOn names gives the message up after one run, anything else is retried", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const consumer = (note: Note): void => {
      seen.add(note.n);
      if (note.n === 1) throw new TypeError("by class");
      if (note.n === 2) throw new Error("by function");
      throw new RangeError("retried");
    };
    const giveUpOn = [TypeError, (error: unknown): boolean => error instanceof Error && error.message === "by function"];
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 1, immediateDelay: "1ms", delays: [], giveUpOn } });

    for (const n of [1, 2, 3]) await bus.publish(new Placed(n));

    const letters = await stage.letters(bus, shipping, 3);
    assert.deepEqual([...seen.items].sort(), [1, 2, 3, 3]);
    const attempts = Object.fromEntries(letters.map(({ failure }) => [failure.errorMessage, failure.attempts]));
    assert.deepEqual(attempts, { "by class": 1, "by function": 1, retried: 2 });
  });
}
