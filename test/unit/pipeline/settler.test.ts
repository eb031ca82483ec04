import { afterEach, describe, expect, test, vi } from "vitest";
import { TrolleybusError } from "../../../src/errors.js";
import type { Bus, BusOptions, ConsumeContext } from "../../../src/index.js";
import { ScriptedDelivery } from "../../support/scripted-delivery.js";
import { Placed, type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

type Consume = (message: Placed, context: ConsumeContext) => Promise<void> | void;

async function started(consume: Consume, options: Partial<BusOptions> = {}): Promise<TestBus> {
  const made = testBus({ deduplication: false, retry: false, ...options });
  buses.push(made.bus);
  made.bus.subscribe(Placed, consume);
  await made.bus.start();
  return made;
}

const deliver = ({ transport }: TestBus, n: number, parts: object = {}) =>
  transport.deliverMessage("shop", "shop.placed", { n }, { messageId: `m${n}` }, parts);
const health = ({ bus }: TestBus) => bus.health().endpoints[0];
const failing: Consume = () => {
  throw new Error("no");
};

describe("a broker that does not take a retry or a dead letter for a while", () => {
  test.each([
    ["a dead letter", { retry: false }, "deadLetter"],
    ["a retry", { retry: { immediate: 0, delays: ["10s"] } }, "retry"],
  ] as const)(
    "is asked again until it takes %s: the endpoint pauses, says why, and takes nothing more meanwhile",
    async (_, options, verb) => {
      let runs = 0;
      const made = await started(() => {
        runs++;
        throw new Error("no");
      }, options);
      const delivery = deliver(made, 1, { refusals: 2 });
      await until("it is paused", () => health(made)?.status === "paused");
      expect(health(made)?.reason).toBe(
        `the broker does not take a ${verb === "retry" ? "retry" : "dead-letter"}: the broker takes nothing at the moment`,
      );
      const next = deliver(made, 2);
      await settled();
      expect(runs).toBe(1);
      expect((await delivery.answered).verb).toBe(verb);
      expect(delivery.calls).toEqual([verb, verb, verb]);
      await next.answered;
      expect(runs).toBe(2);
      expect(health(made)?.status).toBe("up");
    },
  );

  test("is not waited for after the deadline of the stop: the delivery stays unsettled, for another to have", async () => {
    const made = await started(failing);
    const delivery = deliver(made, 1, { refusals: 1000 });
    await until("it is paused", () => health(made)?.status === "paused");
    await made.bus.stop({ deadline: 50 });
    expect(delivery.answer).toBeUndefined();
    expect(health(made)?.inFlight).toBe(0);
    const calls = delivery.calls.length;
    await settled();
    expect(delivery.calls).toHaveLength(calls);
  });

  test("and a delivery that is lost meanwhile is let go, and counted as stale", async () => {
    const made = await started(failing);
    const delivery = deliver(made, 1, { refusals: 1000 });
    await until("it is paused", () => health(made)?.status === "paused");
    delivery.lose();
    await delivery.answered;
    await until("it goes on", () => health(made)?.status === "up");
    expect(health(made)?.counts).toMatchObject({ deadLettered: 0, stale: 1 });
  });
});

test("a message whose copy for a retry is too large for the broker is dead-lettered: asked again, the endpoint would stand still for ever", async () => {
  const tooLarge = new TrolleybusError("too-large", "the copy has 262,300 bytes", { cause: undefined, retryable: false });
  const made = await started(failing, { retry: { immediate: 0, delays: ["10s"] } });
  const delivery = deliver(made, 1, { retryError: tooLarge });
  expect(await delivery.answered).toMatchObject({ verb: "deadLetter", failure: { "tb-reason": "failed", "tb-error-message": "no" } });
  expect(delivery.calls).toEqual(["retry", "deadLetter"]);
  await until("it is counted", () => health(made)?.counts.deadLettered === 1);
  expect(health(made)).toMatchObject({ status: "up", counts: { retried: 0 } });
  expect(made.logger.texts("error").join()).toContain(
    'shop.placed at endpoint "shop" cannot be stored for a retry, and never will be; it is dead-lettered instead: the copy has 262,300 bytes',
  );
});

test("what was lost before it was settled is counted as stale, whatever was to become of it", async () => {
  let running = 0;
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => (go = resolve));
  const made = await started(async ({ n }) => {
    running++;
    await gate;
    if (n === 2) throw new Error("no");
  });
  const [done, failed] = [deliver(made, 1), deliver(made, 2)];
  await until("both to run", () => running === 2);
  done.lose();
  failed.lose();
  go();
  await Promise.all([done.answered, failed.answered]);
  await until("both are counted", () => health(made)?.counts.stale === 2);
  expect(health(made)?.counts).toMatchObject({ handled: 1, deadLettered: 0 });
});

test("a defect of the bus itself ends no process and loops not: the message is dead-lettered with what went wrong", async () => {
  const made = await started(() => {});
  const delivery = new ScriptedDelivery({});
  Object.defineProperty(delivery, "suspicion", {
    get: () => {
      throw new Error("a defect");
    },
  });
  made.transport.sinks.get("shop")?.deliver(delivery);
  expect(await delivery.answered).toMatchObject({ verb: "deadLetter", failure: { "tb-error-message": "a defect" } });
  await until("it is counted", () => health(made)?.counts.deadLettered === 1);
  expect(made.logger.texts("error").join()).toContain("A step of the bus failed");
});

test("a logger that throws fails no message", async () => {
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const made = await started(failing, {
    logger: {
      debug: failing as () => void,
      info: failing as () => void,
      warn: failing as () => void,
      error: failing as () => void,
    },
  });
  expect((await deliver(made, 1).answered).verb).toBe("deadLetter");
  expect((await deliver(made, 2).answered).verb).toBe("deadLetter");
});
