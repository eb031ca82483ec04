import { getEventListeners } from "node:events";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Bus, BusOptions, ConsumeContext } from "../../../src/index.js";
import { FakeStore } from "../../support/fake-store.js";
import { Placed, type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

type Consume = (message: Placed, context: ConsumeContext) => Promise<void> | void;

async function started(consume: Consume, options: Partial<BusOptions> = {}, prepare: (bus: Bus) => void = () => {}): Promise<TestBus> {
  const made = testBus({ deduplication: false, retry: false, ...options });
  buses.push(made.bus);
  made.bus.subscribe(Placed, consume);
  prepare(made.bus);
  await made.bus.start();
  return made;
}

const deliver = ({ transport }: TestBus, n = 1, data: object = { n }) =>
  transport.deliverMessage("shop", "shop.placed", data, { messageId: `m${n}` });
const health = ({ bus }: TestBus) => {
  const [endpoint] = bus.health().endpoints;
  if (!endpoint) throw new Error("there is no endpoint");
  return endpoint;
};

describe("a run", () => {
  test("is given the message as an instance of its class, and its context", async () => {
    const seen: unknown[] = [];
    const made = await started((message, { messageId, messageType, endpoint, attempt, sentAt, causationId }) => {
      seen.push(message, { messageId, messageType, endpoint, attempt, sentAt, causationId });
    });
    await deliver(made).answered;
    expect(seen[0]).toBeInstanceOf(Placed);
    expect(seen).toEqual([
      new Placed(1),
      {
        messageId: "m1",
        messageType: "shop.placed",
        endpoint: "shop",
        attempt: 1,
        sentAt: new Date("2026-01-02T03:04:05.678Z"),
        causationId: undefined,
      },
    ]);
  });

  test("may be synchronous, throw synchronously, or answer with somebody else's promise", async () => {
    const ways: Consume[] = [
      () => {},
      () => {
        throw new Error("at once");
      },
      // biome-ignore lint/suspicious/noThenProperty: a promise of another library is one
      () => ({ then: (resolve: () => void) => resolve() }) as Promise<void>,
    ];
    const made = await started((message, context) => ways[message.n]?.(message, context));
    const verbs = await Promise.all(ways.map(async (_, n) => (await deliver(made, n).answered).verb));
    expect(verbs).toEqual(["complete", "deadLetter", "complete"]);
  });

  test("after the first sees nothing of what the one before did to the message", async () => {
    const seen: unknown[] = [];
    const made = await started(
      (message) => {
        seen.push({ ...message });
        (message as { n: number }).n = 99;
        if (seen.length < 2) throw new Error("once");
      },
      { retry: { immediateDelay: 0 } },
    );
    await deliver(made).answered;
    expect(seen).toEqual([{ n: 1 }, { n: 1 }]);
  });

  test("of a message that is not what its class takes does not begin: it is invalid, and never retried", async () => {
    const made = await started(() => {}, { retry: { immediateDelay: 0 } });
    const answer = await made.transport.deliverMessage("shop", "shop.placed", ["no object"]).answered;
    expect(answer).toMatchObject({
      verb: "deadLetter",
      failure: { "tb-reason": "invalid", "tb-attempts": "1", "tb-error-name": "InvalidMessageError" },
    });
  });
});

describe("a run that takes too long", () => {
  test("is aborted, frees its turn, and is retried later, not at once", async () => {
    vi.useFakeTimers();
    let reason: unknown;
    const made = await started(
      (_, { signal }) => {
        signal.addEventListener("abort", () => (reason = signal.reason));
        return new Promise(() => {});
      },
      { retry: { delays: ["10s"] }, handlerTimeout: "2s" },
    );
    const delivery = deliver(made);
    await vi.advanceTimersByTimeAsync(1999);
    expect([reason, health(made).strays]).toEqual([undefined, 0]);
    await vi.advanceTimersByTimeAsync(2);
    expect(reason).toMatchObject({ message: expect.stringContaining("took longer than 2s (handlerTimeout)") });
    expect(delivery.answer).toMatchObject({ verb: "retry", delayMs: 10_000, failure: { "tb-reason": "timed-out", "tb-attempts": "1" } });
    expect([health(made).strays, health(made).inFlight]).toEqual([1, 0]);
    expect(made.logger.texts("warn").join()).toContain("until it ends it counts as a stray");
  });

  test("is no stray any more when it ends at last, and what it did then counts for nothing", async () => {
    let end: (() => void) | undefined;
    const made = await started(() => new Promise<void>((resolve) => (end = resolve)), { handlerTimeout: 10 });
    expect((await deliver(made).answered).verb).toBe("deadLetter");
    expect(health(made).strays).toBe(1);
    end?.();
    await until("it has ended", () => health(made).strays === 0);
    expect(health(made).counts).toMatchObject({ handled: 0, deadLettered: 1 });
  });

  test("as many of them as the concurrency stall the endpoint, which takes nothing more until one ends", async () => {
    const ends: (() => void)[] = [];
    const made = await started(({ n }) => (n < 2 ? new Promise<void>((resolve) => ends.push(resolve)) : undefined), {
      handlerTimeout: 10,
      concurrency: 2,
      prefetch: 10,
    });
    await Promise.all([deliver(made, 0).answered, deliver(made, 1).answered]);
    expect(health(made)).toMatchObject({
      status: "stalled",
      strays: 2,
      reason: expect.stringContaining("2 handlers ignored their time-out"),
    });
    expect(made.bus.health().status).toBe("degraded");
    expect(made.logger.texts("error").join()).toContain("takes nothing more: 2 handlers");
    const waiting = deliver(made, 2);
    await settled();
    expect(waiting.answer).toBeUndefined();
    ends[0]?.();
    expect((await waiting.answered).verb).toBe("complete");
    expect(health(made)).toMatchObject({ status: "up", strays: 1 });
    ends[1]?.();
  });

  test("costs no timer of its own: one serves all runs of the endpoint", async () => {
    vi.useFakeTimers();
    const made = await started(() => new Promise(() => {}), { concurrency: 50, prefetch: 50, handlerTimeout: "1m" });
    for (let n = 0; n < 50; n++) deliver(made, n);
    await vi.advanceTimersByTimeAsync(0);
    expect(health(made).inFlight).toBe(50);
    expect(vi.getTimerCount()).toBe(1);
  });
});

describe("a run whose delivery is lost", () => {
  test("is aborted when it looks at its signal; until it ends it counts as a stray, so that no more handlers run than may", async () => {
    const ends: (() => void)[] = [];
    let reason: unknown;
    const made = await started(
      (_, { signal }) => {
        signal.addEventListener("abort", () => (reason = signal.reason));
        return new Promise<void>((resolve) => ends.push(resolve));
      },
      { concurrency: 1, prefetch: 10 },
    );
    const lost = deliver(made);
    await settled();
    lost.lose();
    expect((await lost.answered).verb).toBe("release");
    expect(String(reason)).toContain("lost to another instance");
    expect(health(made)).toMatchObject({ strays: 1, status: "stalled" });
    const next = deliver(made, 2);
    await settled();
    expect(ends).toHaveLength(1);
    ends[0]?.();
    await until("the next runs", () => ends.length === 2);
    ends[1]?.();
    expect((await next.answered).verb).toBe("complete");
    expect(health(made).strays).toBe(0);
  });

  test("is aborted also when it was lost before the handler looked, in its first words", async () => {
    let lost: ReturnType<typeof deliver> | undefined;
    const made = await started(
      async ({ n }, { signal }) => {
        if (n === 1) return settled();
        lost?.lose();
        if (signal.aborted) await new Promise(() => {});
      },
      { concurrency: 1, prefetch: 2 },
    );
    deliver(made, 1);
    lost = deliver(made, 2);
    expect((await lost.answered).verb).toBe("release");
    await settled();
    expect(health(made)).toMatchObject({ strays: 1, inFlight: 0 });
  });

  test("is told nothing more of the delivery when it has ended", async () => {
    const made = await started((_, { signal }) => void signal);
    const delivery = deliver(made);
    await delivery.answered;
    expect(getEventListeners(delivery.lost, "abort")).toEqual([]);
  });

  test("and that does not look at its signal goes on and counts: the copy that comes again is recognised", async () => {
    const store = new FakeStore();
    let end: (() => void) | undefined;
    let runs = 0;
    const made = await started(
      () => {
        runs++;
        return new Promise<void>((resolve) => (end = resolve));
      },
      { store, deduplication: {} },
    );
    const lost = deliver(made);
    await until("it runs", () => end !== undefined);
    lost.lose();
    const again = deliver(made);
    await settled();
    end?.();
    await Promise.all([lost.answered, again.answered]);
    expect(runs).toBe(1);
    expect(health(made).counts).toMatchObject({ handled: 1, duplicates: 1, stale: 1 });
  });
});

test("a run whose claim was lost to another is aborted, and its message is done when that one is: it is not given back in a bus that lives", async () => {
  vi.useFakeTimers();
  const store = new FakeStore();
  let reason: unknown;
  const made = await started(
    (_, { signal }) => {
      signal.addEventListener("abort", () => (reason = signal.reason));
      return new Promise(() => {});
    },
    { store, deduplication: {} },
  );
  const delivery = deliver(made);
  await vi.advanceTimersByTimeAsync(0);
  store.renews = new Error("down");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(reason).toBeUndefined();
  expect(made.logger.texts("warn").join()).toContain("could not be renewed");
  store.renews = false;
  store.claimScript.push({ state: "busy", againInMs: 1_000 }, { state: "done", unsent: undefined });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(String(reason)).toContain("claim on the message was lost");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(delivery.answer).toEqual({ verb: "complete" });
});

test("a run whose claim comes only after the deadline of the stop does not begin", async () => {
  const store = new FakeStore();
  let claimed: (() => void) | undefined;
  const claim = store.claim.bind(store);
  store.claim = async (request) => {
    await new Promise<void>((resolve) => (claimed = resolve));
    return claim(request);
  };
  let runs = 0;
  const made = await started(() => void runs++, { store, deduplication: {} });
  const delivery = deliver(made);
  await until("the claim is asked for", () => claimed !== undefined);
  await made.bus.stop({ deadline: 50 });
  claimed?.();
  expect((await delivery.answered).verb).toBe("release");
  expect(runs).toBe(0);
  expect(store.log.slice(-2)).toEqual(["claim m1", "release m1"]);
});

describe("the user's steps", () => {
  test("go around the consumer in the order of the calls, at every attempt", async () => {
    const order: string[] = [];
    let runs = 0;
    const made = await started(
      () => {
        order.push("consumer");
        if (++runs === 1) throw new Error("once");
      },
      { retry: { immediateDelay: 0 } },
      (bus) => {
        for (const name of ["a", "b"]) {
          bus.use(async ({ message, attempt }, next) => {
            expect(message).toBeInstanceOf(Placed);
            order.push(`${name}${attempt}`);
            await next();
            order.push(`/${name}`);
          });
        }
      },
    );
    await deliver(made).answered;
    expect(order).toEqual(["a1", "b1", "consumer", "a2", "b2", "consumer", "/b", "/a"]);
  });

  test("settle the delivery as done by not calling next", async () => {
    let runs = 0;
    const made = await started(
      () => void runs++,
      {},
      (bus) => bus.use(async () => {}),
    );
    expect((await deliver(made).answered).verb).toBe("complete");
    expect(runs).toBe(0);
  });

  test("fail the run by throwing, before or after, or by calling next twice", async () => {
    let runs = 0;
    const made = await started(
      () => void runs++,
      {},
      (bus) =>
        bus.use(async (context, next) => {
          const { n } = context.message as Placed;
          if (n === 1) throw new Error("before");
          await next();
          if (n === 2) throw new Error("after");
          if (n === 3) await next();
        }),
    );
    for (const [n, text] of [
      [1, "before"],
      [2, "after"],
      [3, "next() twice"],
    ] as const) {
      expect(await deliver(made, n).answered).toMatchObject({
        verb: "deadLetter",
        failure: { "tb-error-message": expect.stringContaining(text) },
      });
    }
    expect(runs).toBe(2);
  });

  test("that forget to await next wait for it all the same: nothing is settled before the consumer has ended", async () => {
    let end: (() => void) | undefined;
    const made = await started(
      () => new Promise<void>((resolve) => (end = resolve)),
      {},
      (bus) =>
        bus.use(async (_, next) => {
          void next();
        }),
    );
    const delivery = deliver(made);
    await until("the consumer runs", () => end !== undefined);
    await settled();
    expect(delivery.answer).toBeUndefined();
    end?.();
    expect((await delivery.answered).verb).toBe("complete");
  });
});
