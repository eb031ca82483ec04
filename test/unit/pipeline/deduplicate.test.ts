import { afterEach, describe, expect, test, vi } from "vitest";
import type { Lease } from "../../../src/contracts/store.js";
import type { Bus, BusOptions, ConsumeContext } from "../../../src/index.js";
import { FakeStore } from "../../support/fake-store.js";
import { refused, ScriptedTransport, SENT } from "../../support/scripted-transport.js";
import { Placed, Shipped, type TestBus, testBus } from "../../support/test-bus.js";
import { until } from "../../support/until.js";

let bus: Bus | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await bus?.stop({ deadline: 200 });
});

async function started(
  store: FakeStore,
  consume: (message: Placed, context: ConsumeContext) => Promise<void> | void,
  options: Partial<BusOptions> = {},
): Promise<TestBus> {
  const made = testBus({ store, ...options });
  bus = made.bus;
  made.bus.subscribe(Placed, consume);
  await made.bus.start();
  return made;
}

/** Has the leases of the store's claims answer otherwise. */
function alterLeases(store: FakeStore, alter: (lease: Lease) => Partial<Lease>): void {
  const claimOfStore = store.claim.bind(store);
  store.claim = async (request) => {
    const claim = await claimOfStore(request);
    return claim.state === "mine" ? { state: "mine", lease: { ...claim.lease, ...alter(claim.lease) } } : claim;
  };
}

const countOf = (log: readonly string[], entry: string): number => log.filter((line) => line === entry).length;

describe("a store without transactions", () => {
  test("claims the id for the run, and notes it as done after the run and before the delivery is settled", async () => {
    const store = new FakeStore();
    const order: string[] = [];
    const { transport } = await started(store, () => void order.push(...store.log.splice(0), "run"));
    transport.onAnswer = () => order.push(...store.log.splice(0), "settled");
    await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
    expect(order).toEqual(["open", "provision", "claim m1", "run", "done m1", "settled"]);
    expect(store.requests[0]).toEqual({
      endpoint: "shop",
      messageId: "m1",
      windowMs: 30 * 60_000,
      leaseMs: 30_000,
      runTimeoutMs: 5 * 60_000,
    });
  });

  test("a message that was handled is completed without a run, and counted as a duplicate", async () => {
    const store = new FakeStore();
    store.doneIds.add("m1");
    let runs = 0;
    const { bus, transport } = await started(store, () => void runs++);
    expect(await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).toEqual({ verb: "complete" });
    expect(runs).toBe(0);
    expect(bus.health().endpoints[0]?.counts).toEqual({ handled: 0, retried: 0, deadLettered: 0, duplicates: 1, stale: 0 });
  });

  test("a failed run gives its claim back before the next one claims anew: our own retries are no duplicates", async () => {
    const store = new FakeStore();
    let runs = 0;
    const { transport } = await started(store, () => {
      if (++runs < 3) throw new Error("not yet");
    });
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("complete");
    expect(store.log.slice(2)).toEqual(["claim m1", "release m1", "claim m1", "release m1", "claim m1", "done m1"]);
  });

  test("a message that another is at is looked at again and again, at no cost of an attempt, until the other has ended", async () => {
    const store = new FakeStore();
    store.claimedIds.add("m1");
    const attempts: number[] = [];
    const { bus, transport } = await started(store, (_, { attempt }) => void attempts.push(attempt));
    const delivery = transport.deliverMessage("shop", "shop.placed", { n: 1 });
    await until("the claim is tried five times", () => store.requests.length >= 5);
    expect(delivery.answer).toBeUndefined();
    expect(bus.health().endpoints[0]?.status).toBe("up");
    store.claimedIds.delete("m1");
    await delivery.answered;
    expect(attempts).toEqual([1]);
  });

  test("a busy answer without a proper time is no reason for a loop without a pause", async () => {
    const store = new FakeStore();
    for (const againInMs of [0, -1, Number.NaN]) store.claimScript.push({ state: "busy", againInMs });
    const { transport } = await started(store, () => {});
    const began = performance.now();
    await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
    expect(performance.now() - began).toBeGreaterThan(10);
  });

  test("a store that is down pauses the endpoint, which says why, and goes on when it is back: no attempt is lost", async () => {
    const store = new FakeStore();
    store.claimScript.push(new Error("connection refused"), new Error("connection refused"));
    const attempts: number[] = [];
    const { bus, transport, logger } = await started(store, (_, { attempt }) => void attempts.push(attempt));
    const delivery = transport.deliverMessage("shop", "shop.placed", { n: 1 });
    await until("it is paused", () => bus.health().endpoints[0]?.status === "paused");
    expect(bus.health().status).toBe("degraded");
    expect(bus.health().endpoints[0]?.reason).toBe("the deduplication store takes no claim: connection refused");
    expect((await delivery.answered).verb).toBe("complete");
    expect(attempts).toEqual([1]);
    expect(bus.health().endpoints[0]).toMatchObject({ status: "up", reason: undefined });
    expect(logger.texts("warn").join()).toContain('Endpoint "shop" pauses');
    expect(logger.texts("info").join()).toContain('Endpoint "shop" goes on');
  });

  test("a delivery that is lost while the store is down is let go", async () => {
    const store = new FakeStore();
    for (let i = 0; i < 100; i++) store.claimScript.push(new Error("down"));
    const { bus, transport } = await started(store, () => {});
    const delivery = transport.deliverMessage("shop", "shop.placed", { n: 1 });
    await until("it is paused", () => bus.health().endpoints[0]?.status === "paused");
    delivery.lose();
    expect((await delivery.answered).verb).toBe("release");
    await until("it goes on", () => bus.health().endpoints[0]?.status === "up");
    await until("it is counted", () => bus.health().endpoints[0]?.counts.stale === 1);
  });

  test("a claim that the store does not take back is let run out: the message is not failed for it", async () => {
    const store = new FakeStore();
    store.releaseFails.push(new Error("gone"));
    let runs = 0;
    const { transport, logger } = await started(store, () => {
      if (++runs === 1) throw new Error("once");
    });
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("complete");
    expect(runs).toBe(2);
    expect(logger.texts("warn").join()).toContain("did not take a claim back");
  });

  test("when it is not known whether a run was noted, what the store says decides: noted, the message is not run again", async () => {
    const store = new FakeStore();
    store.doneScript.push("commit-and-reject");
    let runs = 0;
    const { transport } = await started(store, () => void runs++);
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("complete");
    expect(runs).toBe(1);
  });

  test("a claim that is busy for a year is looked at after a lease: nobody's word is taken for longer", async () => {
    vi.useFakeTimers();
    const store = new FakeStore();
    store.claimScript.push({ state: "busy", againInMs: 2 ** 40 });
    const { transport } = await started(store, () => {});
    const delivery = transport.deliverMessage("shop", "shop.placed", { n: 1 });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(delivery.answer).toEqual({ verb: "complete" });
  });

  test("when it was not noted, it is noted then, without another run", async () => {
    const store = new FakeStore();
    store.doneScript.push("reject", "reject");
    let runs = 0;
    const { transport } = await started(store, () => void runs++);
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("complete");
    expect(runs).toBe(1);
    expect(store.doneIds.has("m1")).toBe(true);
    expect(countOf(store.log, "done m1")).toBe(3);
  });
});

describe("a store that answers what no store may answer is in trouble itself, and no message is failed for it", () => {
  const unfit = [undefined, "OK", {}, { state: "mine" }, { state: "done", unsent: "all" }, { state: "busy" }];

  describe.each([
    ["at once", (answer: unknown) => answer],
    ["later", async (answer: unknown) => answer],
  ])("%s", (_, given) => {
    test.each(unfit)(
      "claim: %j pauses the endpoint, which names the store, and the message is handled when it answers properly",
      async (answer) => {
        const store = new FakeStore();
        const correct = store.claim.bind(store);
        let isBroken = true;
        store.claim = (request) => (isBroken ? (given(answer) as never) : correct(request));
        const attempts: number[] = [];
        const { bus, transport } = await started(store, (_, { attempt }) => void attempts.push(attempt), { retry: false });
        const delivery = transport.deliverMessage("shop", "shop.placed", { n: 1 });
        await until("it is paused", () => bus.health().endpoints[0]?.status === "paused");
        expect(bus.health().endpoints[0]?.reason).toContain(
          'the deduplication store takes no claim: the store "fake" answered claim() with',
        );
        isBroken = false;
        expect(await delivery.answered).toEqual({ verb: "complete" });
        expect(attempts).toEqual([1]);
        expect(bus.health().endpoints[0]).toMatchObject({ status: "up", counts: { handled: 1, retried: 0, deadLettered: 0 } });
      },
    );

    test("done: the store is asked what it has noted, and believed: the message is neither failed nor run again", async () => {
      const store = new FakeStore();
      alterLeases(store, (lease) => ({
        done: (...outgoing) => {
          void lease.done(...outgoing);
          return given("OK") as never;
        },
      }));
      let runs = 0;
      const { transport, logger } = await started(store, () => void runs++, { retry: false });
      expect(await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).toEqual({ verb: "complete" });
      expect(runs).toBe(1);
      expect(logger.texts("warn").join()).toContain(
        'pauses: the deduplication store does not note what is done: the store "fake" answered done() with "OK"',
      );
    });
  });

  test("done, and its claim is forgotten: it is noted again until the store says that it is", async () => {
    const store = new FakeStore();
    let asked = 0;
    alterLeases(store, (lease) => ({
      done: async (...outgoing) => {
        if (asked++ >= 2) return lease.done(...outgoing);
        await lease.release();
        return "OK" as never;
      },
    }));
    let runs = 0;
    const { transport } = await started(store, () => void runs++, { retry: false });
    expect(await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).toEqual({ verb: "complete" });
    expect(runs).toBe(1);
    expect(store.doneIds.has("m1")).toBe(true);
    expect(asked).toBe(3);
  });

  test("a transactional store's commit that is answered unfit: what it kept is found by the next claim, and sent", async () => {
    const store = new FakeStore({ transactional: true, shared: true });
    alterLeases(store, (lease) => ({
      done: async (...outgoing) => {
        await lease.done(...outgoing);
        return [] as never;
      },
    }));
    const { bus, transport } = await started(store, (_, context) => context.publish(new Shipped(1)), { retry: false });
    expect(await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).toEqual({ verb: "complete" });
    expect(transport.sent).toHaveLength(1);
    expect(store.unsent.size).toBe(0);
    expect(bus.health().publisher.pending).toBe(0);
  });

  test("what release answers says nothing, and is not looked at", async () => {
    const store = new FakeStore();
    alterLeases(store, (lease) => ({
      release: async () => {
        await lease.release();
        return "OK" as never;
      },
    }));
    let runs = 0;
    const { transport, logger } = await started(store, () => {
      if (++runs === 1) throw new Error("once");
    });
    expect(await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).toEqual({ verb: "complete" });
    expect(runs).toBe(2);
    expect(logger.texts("warn")).toEqual([]);
  });
});

describe("a transactional store", () => {
  const transactional = (): FakeStore => new FakeStore({ transactional: true, shared: true });

  test("keeps what the handler published in the handler's own commit; it leaves after that, is marked, and then the delivery is settled", async () => {
    const store = transactional();
    const transport = new ScriptedTransport();
    transport.onSend = (messages) => {
      store.log.push("sent to the broker");
      return messages.map(() => SENT);
    };
    transport.onAnswer = () => store.log.push("settled");
    const made = testBus({ store }, transport);
    bus = made.bus;
    bus.subscribe(Placed, (_, context) => context.publish(new Shipped(1)));
    await bus.start();
    await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
    expect(store.log.slice(2)).toEqual(["claim m1", "done m1 with 1", "sent to the broker", "sent m1", "settled"]);
    expect(bus.health().publisher.pending).toBe(0);
  });

  test("a commit that failed drops what was held, and the message runs again at no cost of an attempt", async () => {
    const store = transactional();
    store.doneScript.push("reject");
    const attempts: number[] = [];
    const { bus, transport } = await started(store, async (_, context) => {
      attempts.push(context.attempt);
      await context.publish(new Shipped(attempts.length));
    });
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("complete");
    expect(attempts).toEqual([1, 1]);
    expect(transport.sent).toHaveLength(1);
    expect(Buffer.from(transport.sent[0]?.body ?? []).toString()).toContain('"data":{"n":2}');
    expect(bus.health().publisher.pending).toBe(0);
    expect(bus.health().endpoints[0]).toMatchObject({ status: "up", counts: { handled: 1 } });
  });

  test("a commit whose answer was lost is not run again, and what it kept is sent", async () => {
    const store = transactional();
    store.doneScript.push("commit-and-reject");
    let runs = 0;
    const { transport } = await started(store, async (_, context) => {
      runs++;
      await context.publish(new Shipped(1));
    });
    await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
    expect(runs).toBe(1);
    expect(transport.sent).toHaveLength(1);
    expect(store.unsent.size).toBe(0);
  });

  test("a redelivery of what is done sends what is not marked, marks it, and is then completed without a run", async () => {
    const store = transactional();
    store.sentFails.push(new Error("gone"));
    let runs = 0;
    const { transport, logger } = await started(store, async (_, context) => {
      runs++;
      await context.publish(new Shipped(1));
    });
    await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
    expect(logger.texts("warn").join()).toContain("did not mark messages as sent");
    await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
    expect(runs).toBe(1);
    expect(transport.sent.map(({ properties }) => properties.messageId)).toEqual(Array(2).fill(transport.sent[0]?.properties.messageId));
    expect(store.unsent.size).toBe(0);
  });

  test("what the broker refuses for good after the commit stops neither the settlement nor the other messages, and stays unmarked", async () => {
    const store = transactional();
    const { transport } = await started(store, async (_, context) => {
      await context.send("nowhere", new Shipped(1));
      await context.publish(new Shipped(2));
    });
    transport.onSend = (messages) => messages.map(({ to }) => ("endpoint" in to ? refused("unroutable", false) : SENT));
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("complete");
    expect(store.log).not.toContain("sent m1");
    expect(transport.sent).toHaveLength(2);
  });

  test("a failed run keeps nothing, and gives its messages' places back", async () => {
    const store = transactional();
    const { bus, transport } = await started(
      store,
      async (_, context) => {
        await context.publish(new Shipped(1));
        throw new Error("no");
      },
      { retry: false },
    );
    expect((await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered).verb).toBe("deadLetter");
    expect(store.log.slice(2)).toEqual(["claim m1", "release m1"]);
    expect(transport.sent).toEqual([]);
    expect(bus.health().publisher.pending).toBe(0);
  });
});

test("without deduplication no store is opened or asked", async () => {
  const store = new FakeStore();
  const { transport } = await started(store, () => {}, { deduplication: false });
  await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
  await transport.deliverMessage("shop", "shop.placed", { n: 1 }).answered;
  await bus?.stop();
  expect(store.log).toEqual([]);
});
