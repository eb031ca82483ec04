import { afterEach, expect, test } from "vitest";
import type { Bus, BusOptions, ConsumeContext } from "../../../src/index.js";
import { Placed, type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

async function started(
  consume: (message: Placed, context: ConsumeContext) => Promise<void> | void,
  options: Partial<BusOptions> = {},
): Promise<TestBus> {
  const made = testBus({ deduplication: false, ...options });
  buses.push(made.bus);
  made.bus.subscribe(Placed, consume);
  await made.bus.start();
  return made;
}

/** A consumer whose runs end when the test says so. */
function gated(): { readonly running: number[]; readonly consume: (message: Placed) => Promise<void>; readonly end: (n: number) => void } {
  const running: number[] = [];
  const ends = new Map<number, () => void>();
  return {
    running,
    consume: ({ n }) => {
      running.push(n);
      return new Promise((resolve) => ends.set(n, resolve));
    },
    end: (n) => {
      running.splice(running.indexOf(n), 1);
      ends.get(n)?.();
    },
  };
}

const careful = { suspicion: "careful" } as const;

test("no more run at one time than the concurrency says", async () => {
  const { running, consume, end } = gated();
  const { transport } = await started(consume, { concurrency: 2, prefetch: 10 });
  for (const n of [1, 2, 3]) transport.deliverMessage("shop", "shop.placed", { n });
  await settled();
  expect(running).toEqual([1, 2]);
  end(1);
  await settled();
  expect(running).toEqual([2, 3]);
  end(2);
  end(3);
});

test("a suspect runs while no other handler of the process does, of any endpoint of any bus", async () => {
  const one = gated();
  const other = gated();
  const first = await started(one.consume);
  const second = await started(other.consume);
  first.transport.deliverMessage("shop", "shop.placed", { n: 1 });
  await settled();
  second.transport.deliverMessage("shop", "shop.placed", { n: 2 }, {}, careful);
  first.transport.deliverMessage("shop", "shop.placed", { n: 3 });
  await settled();
  expect([one.running, other.running]).toEqual([[1], []]);
  one.end(1);
  await settled();
  expect([one.running, other.running]).toEqual([[], [2]]);
  other.end(2);
  await settled();
  expect([one.running, other.running]).toEqual([[3], []]);
  one.end(3);
});

test("what only waits when the bus stops is given back without a run", async () => {
  const { running, consume, end } = gated();
  const { bus, transport } = await started(consume, { concurrency: 1, prefetch: 10 });
  const first = transport.deliverMessage("shop", "shop.placed", { n: 1 });
  const second = transport.deliverMessage("shop", "shop.placed", { n: 2 });
  await settled();
  const stopping = bus.stop();
  expect((await second.answered).verb).toBe("release");
  end(1);
  expect((await first.answered).verb).toBe("complete");
  await stopping;
  expect(running).toEqual([]);
});

test("a message that waits to run alone when the bus stops goes back at once: the stop does not wait for the handlers of others", async () => {
  const holder = gated();
  const waiter = gated();
  const first = await started(holder.consume);
  const second = await started(waiter.consume);
  first.transport.deliverMessage("shop", "shop.placed", { n: 1 });
  await settled();
  const suspect = second.transport.deliverMessage("shop", "shop.placed", { n: 2 }, {}, careful);
  const behind = second.transport.deliverMessage("shop", "shop.placed", { n: 3 });
  await settled();
  await second.bus.stop();
  holder.end(1);
  expect([(await suspect.answered).verb, (await behind.answered).verb]).toEqual(["release", "release"]);
  expect(waiter.running).toEqual([]);
});

test("a message that was lost while it waited for its turn does not run", async () => {
  const { running, consume, end } = gated();
  const { transport } = await started(consume, { concurrency: 1, prefetch: 10 });
  transport.deliverMessage("shop", "shop.placed", { n: 1 });
  const lost = transport.deliverMessage("shop", "shop.placed", { n: 2 });
  await settled();
  lost.lose();
  end(1);
  await lost.answered;
  expect(running).toEqual([]);
});

test("what has begun ends its retries while the bus stops, also when it has to wait for a turn", async () => {
  const runs: string[] = [];
  let firstHasFailed = false;
  const { bus, transport } = await started(
    async ({ n }, { attempt }) => {
      runs.push(`${n}.${attempt}`);
      if (n === 1 && attempt === 1) {
        firstHasFailed = true;
        throw new Error("once");
      }
      if (n === 2) await until("the first waits for its turn, and the bus stops", () => firstHasFailed && stopping);
    },
    { concurrency: 1, prefetch: 10 },
  );
  let stopping = false;
  const first = transport.deliverMessage("shop", "shop.placed", { n: 1 });
  transport.deliverMessage("shop", "shop.placed", { n: 2 });
  await until("the second runs", () => runs.includes("2.1"));
  await settled();
  const stopped = bus.stop();
  stopping = true;
  expect((await first.answered).verb).toBe("complete");
  await stopped;
  expect(runs).toEqual(["1.1", "2.1", "1.2"]);
});

test("handlers that compute leave timers and sockets their part of the time: heartbeats are not kept waiting for the sum of them", async () => {
  const seen: string[] = [];
  const { transport } = await started(({ n }) => {
    for (const until = performance.now() + 30; performance.now() < until; );
    seen.push(`run ${n}`);
  });
  const timer = setInterval(() => seen.push("timer"), 1);
  for (const n of [1, 2, 3, 4, 5, 6]) transport.deliverMessage("shop", "shop.placed", { n });
  await until("all to have run", () => seen.includes("run 6"));
  clearInterval(timer);
  expect(seen.filter((what) => what !== "timer")).toEqual([1, 2, 3, 4, 5, 6].map((n) => `run ${n}`));
  expect(seen.slice(0, seen.indexOf("run 3"))).toContain("timer");
  expect(seen.slice(seen.indexOf("run 3"), seen.indexOf("run 5"))).toContain("timer");
});
