import { afterEach, describe, expect, test } from "vitest";
import { type Bus, type BusOptions, type ConsumeContext, PublishError, TrolleybusError } from "../../../src/index.js";
import { refused, SENT, unknown } from "../../support/scripted-transport.js";
import { Placed, Shipped, type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

type Consume = (message: Placed, context: ConsumeContext, bus: Bus) => Promise<void> | void;

async function started(consume: Consume, options: Partial<BusOptions> = {}): Promise<TestBus> {
  const made = testBus({ retry: false, ...options });
  buses.push(made.bus);
  made.bus.subscribe(Placed, (message, context) => consume(message, context, made.bus));
  await made.bus.start();
  return made;
}

const deliver = ({ transport }: TestBus, n = 1, messageId = `m${n}`) =>
  transport.deliverMessage("shop", "shop.placed", { n }, { messageId });
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "resolved",
    (error: unknown) => error,
  );
const pending = (bus: Bus): number => bus.health().publisher.pending;

describe("inside a consumer", () => {
  test.each([
    ["context", (context: ConsumeContext) => context],
    ["injected bus", (_: ConsumeContext, bus: Bus) => bus],
  ])(
    "what is published through the %s is held until the consumer has succeeded, and confirmed before the delivery is settled",
    async (_, through) => {
      let finish: (() => void) | undefined;
      const made = await started(
        async (_message, context, bus) => {
          const publisher = through(context, bus);
          await publisher.publish(new Shipped(1));
          await publisher.send("audit", new Shipped(2));
          await new Promise<void>((resolve) => (finish = resolve));
        },
        { publishes: [Shipped] },
      );
      const held = made.transport.holdSends();
      const delivery = deliver(made);
      await until("the consumer has published", () => finish !== undefined);
      await settled();
      expect([made.transport.batches.length, pending(made.bus)]).toEqual([0, 2]);
      finish?.();
      await until("they are sent", () => held.length === 1);
      await settled();
      expect(delivery.answer).toBeUndefined();
      expect(held[0]?.messages.map(({ to }) => to)).toEqual([{ event: "shop.shipped" }, { endpoint: "audit" }]);
      held[0]?.answer(SENT);
      expect((await delivery.answered).verb).toBe("complete");
      expect(pending(made.bus)).toBe(0);
    },
  );

  test("it is dropped when the consumer fails, with its places", async () => {
    const made = await started(async (_, context) => {
      await context.publish(new Shipped(1));
      throw new Error("no");
    });
    expect((await deliver(made).answered).verb).toBe("deadLetter");
    expect([made.transport.batches.length, pending(made.bus)]).toEqual([0, 0]);
  });

  test("with immediately it leaves at once, whatever becomes of the consumer", async () => {
    const made = await started(async (_, context) => {
      await context.publish(new Shipped(1), { immediately: true });
      throw new Error("no");
    });
    expect((await deliver(made).answered).verb).toBe("deadLetter");
    expect(made.transport.sent).toHaveLength(1);
  });

  test("a run that has ended well sends directly: nothing is held for ever", async () => {
    let late: Promise<void> | undefined;
    let go: (() => void) | undefined;
    const made = await started((_, context, bus) => {
      late = new Promise<void>((resolve) => (go = resolve)).then(async () => {
        await context.publish(new Shipped(1));
        await bus.publish(new Shipped(2));
      });
    });
    await deliver(made).answered;
    go?.();
    await late;
    expect(made.transport.sent).toHaveLength(2);
    expect(pending(made.bus)).toBe(0);
  });

  test("a run that has failed publishes nothing more", async () => {
    let late: Promise<unknown> | undefined;
    const made = await started((_, context, bus) => {
      late = settled().then(() => Promise.all([failureOf(context.publish(new Shipped(1))), failureOf(bus.publish(new Shipped(2)))]));
      throw new Error("no");
    });
    await deliver(made).answered;
    expect(await late).toEqual([
      expect.objectContaining({ code: "run-ended", outcome: "refused", retryable: false }),
      expect.objectContaining({ code: "run-ended" }),
    ]);
    expect(made.transport.sent).toEqual([]);
  });

  test("what was made in a handler and lives on publishes messages of their own, of which the run keeps no count", async () => {
    const late: Promise<void>[] = [];
    const made = await started(
      (_, _context, bus) => {
        late.push(settled(3).then(() => bus.publish(new Shipped(1))));
      },
      { deduplication: false },
    );
    await deliver(made).answered;
    await deliver(made).answered;
    await Promise.all(late);
    expect(new Set(made.transport.sent.map(({ properties }) => properties.messageId)).size).toBe(2);
  });

  test.each(["unroutable", "too-large", "refused", "topology"] as const)(
    "what the broker refuses for good (%s) is the consumer's failure",
    async (code) => {
      const made = await started((_, context) => context.send("nowhere", new Shipped(1)));
      made.transport.onSend = (messages) => messages.map(() => refused(code, false));
      const answer = await deliver(made).answered;
      expect(answer).toMatchObject({ verb: "deadLetter", failure: { "tb-reason": "failed", "tb-error-name": "PublishError" } });
      expect(pending(made.bus)).toBe(0);
    },
  );

  test("what is not sent since the bus stops is no failure of the consumer's: its message is given back", async () => {
    const made = await started((_, context) => context.publish(new Shipped(1)));
    made.transport.onSend = () => {
      throw new TrolleybusError("stopped", "The bus has stopped.", { cause: undefined, retryable: false });
    };
    const delivery = deliver(made);
    await until("it was tried", () => made.transport.batches.length > 0);
    await made.bus.stop({ deadline: 100 });
    expect(delivery.answer?.verb).toBe("release");
  });

  test("what the broker does not take for a while is the bus's trouble: the endpoint pauses, and sends it again with the same id", async () => {
    let runs = 0;
    const made = await started(
      (_, context) => {
        runs++;
        return context.publish(new Shipped(1));
      },
      { publishTimeout: 40 },
    );
    made.transport.onSend = (messages) => messages.map(() => unknown());
    const delivery = deliver(made);
    await until("it is paused", () => made.bus.health().endpoints[0]?.status === "paused");
    expect(made.bus.health().endpoints[0]?.reason).toContain("the broker does not take what a handler published");
    made.transport.onSend = (messages) => messages.map(() => SENT);
    expect((await delivery.answered).verb).toBe("complete");
    expect(runs).toBe(1);
    expect(new Set(made.transport.sent.map(({ properties }) => properties.messageId)).size).toBe(1);
    expect([made.bus.health().status, pending(made.bus)]).toEqual(["up", 0]);
  });

  test("a publish that nobody awaits is held like any other", async () => {
    const made = await started((_, context) => {
      void context.publish(new Shipped(1));
    });
    await deliver(made).answered;
    expect(made.transport.sent).toHaveLength(1);
  });

  test("with ambientContext: false the injected bus knows nothing of the run, and the context does", async () => {
    const made = await started(
      async (_, context, bus) => {
        await bus.publish(new Shipped(1));
        expect(made.transport.sent).toHaveLength(1);
        await context.publish(new Shipped(2));
        expect(made.transport.sent).toHaveLength(1);
      },
      { ambientContext: false },
    );
    expect((await deliver(made).answered).verb).toBe("complete");
    expect(made.transport.sent).toHaveLength(2);
  });

  test("another bus does not join the run: it has a life of its own", async () => {
    const other = testBus();
    buses.push(other.bus);
    const made = await started(async () => {
      await other.bus.publish(new Shipped(1));
      throw new Error("no");
    });
    await deliver(made).answered;
    expect(other.transport.sent).toHaveLength(1);
    expect(other.transport.sent[0]?.properties.correlationId).toBe(other.transport.sent[0]?.properties.messageId);
  });
});

describe("the bound of what is pending", () => {
  test("counts publishes that wait for the broker, and refuses what is beyond it", async () => {
    const made = testBus({ maxPendingPublishes: 2 });
    buses.push(made.bus);
    const held = made.transport.holdSends();
    const two = [made.bus.publish(new Placed(1)), made.bus.publish(new Placed(2))];
    const third = await failureOf(made.bus.publish(new Placed(3)));
    expect(third).toBeInstanceOf(PublishError);
    expect(third).toMatchObject({ code: "unavailable", outcome: "refused", retryable: true });
    expect((third as Error).message).toContain("maxPendingPublishes");
    await until("two are sent", () => held.length === 1);
    held[0]?.answer(SENT, refused("refused", false));
    await Promise.allSettled(two);
    expect(pending(made.bus)).toBe(0);
    made.transport.onSend = (messages) => messages.map(() => SENT);
    await made.bus.publish(new Placed(3));
  });

  test("refuses nothing that is published in a handler, whatever waits already: that is no fault of the message that it handles", async () => {
    const made = await started(
      async ({ n }, context) => {
        await context.publish(new Shipped(n));
        await made.bus.publish(new Shipped(n));
        await context.publish(new Shipped(n), { immediately: true });
      },
      { maxPendingPublishes: 4 },
    );
    const calls = made.transport.holdSends();
    const outside = [1, 2, 3, 4].map((n) => made.bus.publish(new Placed(n)));
    const delivery = deliver(made);
    await until("what the handler does not hold back is on its way", () => calls.length === 2);
    expect(pending(made.bus)).toBe(7);
    expect(await failureOf(made.bus.publish(new Placed(5)))).toMatchObject({ code: "unavailable", outcome: "refused" });
    made.transport.onSend = (messages) => messages.map(() => SENT);
    for (const call of calls) call.answer(...call.messages.map(() => SENT));
    expect(await delivery.answered).toMatchObject({ verb: "complete" });
    await Promise.all(outside);
    expect(pending(made.bus)).toBe(0);
    expect(made.transport.sent).toHaveLength(7);
  });

  test("counts what each handler holds: the publish beyond it fails in the handler, which is run again", async () => {
    const made = await started(
      async (_, context) => {
        for (let n = 0; n < 3; n++) await context.publish(new Shipped(n));
      },
      { maxPendingPublishes: 2 },
    );
    expect(await deliver(made).answered).toMatchObject({ verb: "deadLetter", failure: { "tb-error-name": "PublishError" } });
    expect(pending(made.bus)).toBe(0);
  });

  test("all places come back, whatever becomes of the messages: failed runs, lost deliveries, time-outs, a stop in between", async () => {
    const made = await started(
      async ({ n }, context) => {
        await context.publish(new Shipped(n));
        if (n % 4 === 1) throw new Error("no");
        if (n % 4 === 2) await new Promise(() => {});
        if (n % 4 === 3) {
          void context.signal;
          await settled(5);
        }
      },
      { handlerTimeout: 30, concurrency: 40, prefetch: 40 },
    );
    const deliveries = Array.from({ length: 24 }, (_, n) => deliver(made, n));
    await settled(2);
    for (const [n, delivery] of deliveries.entries()) if (n % 4 === 3) delivery.lose();
    await Promise.all(deliveries.map(({ answered }) => answered));
    await until("all have left", () => made.bus.health().endpoints[0]?.inFlight === 0);
    expect(pending(made.bus)).toBe(0);
  });
});

test("a command needs the name of an endpoint, and is refused before anything is sent", async () => {
  const made = testBus();
  buses.push(made.bus);
  for (const name of ["", "Audit", "a_b", undefined, 5, new Placed(1)]) {
    expect(await failureOf(made.bus.send(name as string, new Placed(1)))).toMatchObject({ code: "configuration" });
  }
  expect(made.transport.log).toEqual([]);
});

test("a signal that was aborted before is refused, and nothing is sent", async () => {
  const made = testBus();
  buses.push(made.bus);
  const error = await failureOf(made.bus.publish(new Placed(1), { signal: AbortSignal.abort() }));
  expect(error).toMatchObject({ code: "timeout", outcome: "refused", retryable: true });
  expect(made.transport.log).toEqual([]);
  expect(pending(made.bus)).toBe(0);
});
