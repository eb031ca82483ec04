import assert from "node:assert/strict";
import type { ConsumeContext, EndpointOptions } from "../../src/index.js";
import { type Note, numbersBelow } from "./note.js";
import type { Suite } from "./suite.js";

const KEYS = ["ada", "ben", "cyd", "dan", "eve"] as const;

/** P7: messages of one key are handled in the order in which they were published. */
export function p7Order(suite: Suite): void {
  orderWithinAProcess(suite);
  if (suite.capabilities.order !== "none") orderOverInstances(suite);
}

function orderWithinAProcess({ promise }: Suite): void {
  promise("P7 messages of one key are handled one after the other in their order, and those of other keys meanwhile", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<Note>();
    const runningKeys = new Set<string>();
    const overlaps: string[] = [];
    const allTogether = stage.gate();
    const consumer = async (note: Note, { partitionKey }: ConsumeContext): Promise<void> => {
      const key = String(partitionKey);
      if (runningKeys.has(key)) overlaps.push(key);
      runningKeys.add(key);
      if (runningKeys.size === KEYS.length) allTogether.open();
      await allTogether.opened;
      await new Promise((resolve) => setImmediate(resolve));
      runningKeys.delete(key);
      seen.add(note);
    };
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { concurrency: 10, prefetch: 200 });

    for (const n of numbersBelow(20)) {
      await Promise.all(KEYS.map((key) => bus.publish(new Placed(n, key), { partitionKey: key })));
    }

    const all = await seen.reach(100);
    assert.deepEqual(overlaps, []);
    assertOrder(all, 20);
  });

  promise("P7 messages without a key do not wait for each other", async (stage) => {
    const Placed = stage.message("placed");
    const running = stage.collector<number>();
    const gate = stage.gate();
    const consumer = async (note: Note): Promise<void> => {
      running.add(note.n);
      await gate.opened;
    };
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { concurrency: 8 });

    await Promise.all(numbersBelow(8).map((n) => bus.publish(new Placed(n))));

    await running.reach(8);
  });
}

function orderOverInstances({ promise, capabilities }: Suite): void {
  const byKey: EndpointOptions = { order: "key" };

  promise('P7 with order: "key" each key keeps its order over all instances, immediate and delayed retries included', async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<Note>();
    const consumer = async (note: Note, { attempt }: ConsumeContext): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      if (note.n % 7 === 3 && attempt === 1) throw new Error("the first attempt fails");
      if (note.n % 10 === 5 && attempt <= 2) throw new Error("the first round fails");
      seen.add(note);
    };
    const retry = { immediate: 1, immediateDelay: "5ms", delays: ["50ms"] } as const;
    const options = { ...byKey, retry, deduplication: false } as const;
    for (let instance = 0; instance < 3; instance++) await stage.listen(shipping, Placed, consumer, options);
    const publisher = stage.bus();

    await Promise.all(
      KEYS.map(async (key) => {
        for (const n of numbersBelow(20)) await publisher.publish(new Placed(n, key), { partitionKey: key });
      }),
    );

    assertOrder(await seen.reach(100), 20);
  });

  promise('P7 with order: "key" a delayed retry holds up its own key and no other', async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<string>();
    const consumer = (note: Note, { attempt }: ConsumeContext): void => {
      seen.add(`${note.data} ${note.n}/${attempt}`);
      if (note.n === 1 && note.data === "ada" && attempt === 1) throw new Error("not yet");
    };
    const retry = { immediate: 0, delays: ["1s"] } as const;
    const bus = await stage.listen(stage.name("shipping"), Placed, consumer, { ...byKey, concurrency: 1, prefetch: 10, retry });

    for (const [n, key] of [
      [1, "ada"],
      [2, "ada"],
      [1, "ben"],
      [2, "ben"],
    ] as const) {
      await bus.publish(new Placed(n, key), { partitionKey: key });
    }

    assert.deepEqual(await seen.reach(5), ["ada 1/1", "ben 1/1", "ben 2/1", "ada 1/2", "ada 2/1"]);
  });

  promise('P7 with order: "key" a message that is given up on lets the next of its key go on', async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const consumer = (note: Note): void => {
      if (note.n % 2 === 1) throw new Error("always");
      seen.add(note.n);
    };
    const retry = { immediate: 1, immediateDelay: "1ms", delays: ["50ms"] } as const;
    const bus = await stage.listen(shipping, Placed, consumer, { ...byKey, retry });

    for (const n of numbersBelow(6)) await bus.publish(new Placed(n), { partitionKey: "ada" });

    assert.deepEqual(await seen.reach(3), [0, 2, 4]);
    const letters = await stage.letters(bus, shipping, 3);
    for (const { failure } of letters) assert.equal(failure.attempts, 4);
  });

  promise('P7 with order: "key" the order holds while instances come and go', async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<Note>();
    const consumer = async (note: Note): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.add(note);
    };
    const options = { ...byKey, prefetch: 20, deduplication: false } as const;
    const publisher = stage.bus();
    let instance = await stage.listen(shipping, Placed, consumer, options);

    const publishing = KEYS.map(async (key) => {
      for (const n of numbersBelow(60)) await publisher.publish(new Placed(n, key), { partitionKey: key });
    });
    for (const share of [50, 120, 200]) {
      await seen.reach(share);
      const next = await stage.listen(shipping, Placed, consumer, options);
      await instance.stop();
      instance = next;
    }
    await Promise.all(publishing);

    await stage.eventually("all to be handled", () => firstOfEach(seen.items).length === 300);
    // Where shares move with each instance that comes or goes, what was running then runs again: that is no disorder.
    assertOrder(capabilities.partitioned ? firstOfEach(seen.items) : seen.items, 60);
  });

  if (capabilities.order === "endpoint") {
    promise('P7 with order: "key" messages of different types keep the order of their key', async (stage) => {
      const types = [stage.message("placed"), stage.message("paid"), stage.message("shipped")] as const;
      const seen = stage.collector<Note>();
      const bus = stage.bus();
      stage.endpoint(bus, stage.name("shipping"), byKey).subscribe(types, async (note) => {
        await new Promise((resolve) => setImmediate(resolve));
        seen.add(note);
      });
      await bus.start();

      for (const n of numbersBelow(30)) {
        const Type = types[n % 3] ?? types[0];
        for (const key of KEYS) await bus.publish(new Type(n, key), { partitionKey: key });
      }

      assertOrder(await seen.reach(150), 30);
    });
  }
}

/** Without what was handled before. */
function firstOfEach(seen: readonly Note[]): readonly Note[] {
  const known = new Set<string>();
  return seen.filter(({ n, data }) => known.size < known.add(`${data} ${n}`).size);
}

/** Each key's numbers, in the order in which they were handled, are 0, 1, 2, ... */
function assertOrder(seen: readonly Note[], each: number): void {
  for (const key of KEYS) {
    assert.deepEqual(
      seen.filter(({ data }) => data === key).map(({ n }) => n),
      numbersBelow(each),
      `the order of ${key}`,
    );
  }
}
