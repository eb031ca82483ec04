import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Bus, type ConsumeContext, type EndpointOptions, NonRetryableError, type RetryOptions } from "../../../src/index.js";
import type { Answer, ScriptedDelivery } from "../../support/scripted-delivery.js";
import { Placed, Shipped, type TestBus, testBus } from "../../support/test-bus.js";

const buses: Bus[] = [];
beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

type Consume = (message: Placed, context: ConsumeContext) => Promise<void> | void;

async function started(consume: Consume, options: EndpointOptions = {}): Promise<TestBus> {
  const made = testBus({ deduplication: false });
  buses.push(made.bus);
  made.bus.endpoint("shop", { handlerTimeout: "5m", ...options });
  made.bus.subscribe(Placed, consume);
  await made.bus.start();
  return made;
}

/** Takes the message through all its rounds, as the broker would: each retry comes back with the headers that were given. */
async function toTheEnd(
  made: TestBus,
  headers: Record<string, string> = {},
): Promise<{ readonly answers: Answer[]; readonly last: Answer }> {
  const answers: Answer[] = [];
  for (let carried = headers; ; ) {
    const answer = await answerOf(made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { headers: carried }));
    answers.push(answer);
    if (answer.verb !== "retry") return { answers, last: answer };
    carried = { ...headers, ...answer.failure };
  }
}

async function answerOf(delivery: ScriptedDelivery): Promise<Answer> {
  await vi.advanceTimersByTimeAsync(2000);
  if (!delivery.answer) throw new Error("it is not answered after 2 s");
  return delivery.answer;
}

const failing: Consume = () => {
  throw new Error("no");
};

describe("what keeps failing", () => {
  test("runs (1 + 3) x (1 + 3) = 16 times by default, after 10 s, 1 min and 10 min, and is then dead-lettered with its count", async () => {
    const attempts: number[] = [];
    const made = await started((_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("no");
    });
    const { answers, last } = await toTheEnd(made);
    expect(attempts).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    expect(answers.map((answer) => (answer.verb === "retry" ? answer.delayMs : answer.verb))).toEqual([
      10_000,
      60_000,
      600_000,
      "deadLetter",
    ]);
    expect(last).toMatchObject({ failure: { "tb-reason": "failed", "tb-attempts": "16", "tb-round": "3", "tb-error-message": "no" } });
    expect(made.bus.health().endpoints[0]?.counts).toMatchObject({ handled: 0, retried: 3, deadLettered: 1 });
    expect(made.logger.texts("warn").join()).toContain("shop.placed was dead-lettered");
  });

  const policies: [policy: RetryOptions | false, runs: number][] = [
    [false, 1],
    [{ immediate: 0, delays: [] }, 1],
    [{ immediate: 2, delays: [] }, 3],
    [{ immediate: 0, delays: ["1s", "1s"] }, 3],
    [{ immediate: 1, delays: ["1s"] }, 4],
  ];
  test.each(policies)("with retry: %j runs %i times", async (retry, runs) => {
    let count = 0;
    const made = await started(
      () => {
        count++;
        throw new Error("no");
      },
      { retry },
    );
    const { last } = await toTheEnd(made);
    expect([count, last.verb]).toEqual([runs, "deadLetter"]);
    expect(last).toMatchObject({ failure: { "tb-attempts": String(runs) } });
  });

  test("tells each time that it will be tried again after a delay, and why", async () => {
    const made = await started(failing, { retry: { immediate: 1, delays: ["10s", "1m"] } });
    await toTheEnd(made);
    const told = made.logger.texts("warn").filter((text) => text.includes("is tried again"));
    expect(told).toEqual([
      'shop.placed failed at endpoint "shop" (2 so far), and is tried again in 10s: no',
      'shop.placed failed at endpoint "shop" (4 so far), and is tried again in 1m: no',
    ]);
  });

  test("waits at random up to the bound, which doubles each time, before it runs again at once", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const times: number[] = [];
    const made = await started(
      () => {
        times.push(performance.now());
        throw new Error("no");
      },
      { retry: { immediate: 3, immediateDelay: 100, delays: [] } },
    );
    await toTheEnd(made);
    vi.mocked(Math.random).mockRestore();
    const waits = times.slice(1).map((time, i) => Math.round(time - (times[i] ?? 0)));
    expect(waits).toEqual([50, 100, 200]);
  });

  test("keeps the time of its first failure through all rounds", async () => {
    vi.setSystemTime(new Date("2026-05-05T10:00:00.000Z"));
    const made = await started(failing, { retry: { immediate: 0, delays: ["1s"] } });
    const { answers } = await toTheEnd(made);
    const failures = answers.map((answer) => ("failure" in answer ? answer.failure : {}));
    expect(failures[0]?.["tb-first-failed-at"]).toBe("2026-05-05T10:00:00.000Z");
    expect(failures[1]?.["tb-first-failed-at"]).toBe("2026-05-05T10:00:00.000Z");
    expect(failures[1]?.["tb-last-failed-at"]).toBe("2026-05-05T10:00:02.000Z");
  });
});

describe("what is not worth another run goes straight to the dead letters:", () => {
  class Declined extends Error {}
  class CardDeclined extends Declined {}
  const giveUpOn: NonNullable<RetryOptions["giveUpOn"]> = [Declined, (error) => error === "code 402"];

  const thrown: [what: string, thrown: unknown, runs: number][] = [
    ["NonRetryableError", new NonRetryableError("no"), 1],
    ["a subclass of it", new (class extends NonRetryableError {})("no"), 1],
    ["a class of giveUpOn", new Declined("no"), 1],
    ["a subclass of such a class", new CardDeclined("no"), 1],
    ["what a function of giveUpOn says yes to", "code 402", 1],
    ["anything else is retried", new Error("no"), 4],
    ["also when it is no error", { code: 500 }, 4],
    ["also when it is nothing", undefined, 4],
  ];
  test.each(thrown)("%s", async (_, error, runs) => {
    let count = 0;
    const made = await started(
      () => {
        count++;
        throw error;
      },
      { retry: { immediate: 3, immediateDelay: 0, delays: [], giveUpOn } },
    );
    const { last } = await toTheEnd(made);
    expect([count, last.verb]).toEqual([runs, "deadLetter"]);
  });

  test("a function of giveUpOn that throws is told of, and the message is retried", async () => {
    let count = 0;
    const made = await started(
      () => {
        count++;
        throw new Error("no");
      },
      {
        retry: {
          immediate: 1,
          delays: [],
          giveUpOn: [
            () => {
              throw new Error("a defect of the function");
            },
          ],
        },
      },
    );
    await toTheEnd(made);
    expect(count).toBe(2);
    expect(made.logger.texts("error").join()).toContain("a defect of the function");
  });
});

test("a run that took too long is not run again at once, only later; without delays it is given up on", async () => {
  let runs = 0;
  const hanging: Consume = () => {
    runs++;
    return new Promise(() => {});
  };
  const made = await started(hanging, { retry: { immediate: 3, delays: ["1s"] }, handlerTimeout: 100 });
  const { answers, last } = await toTheEnd(made);
  expect([runs, answers.length]).toEqual([2, 2]);
  expect(last).toMatchObject({ verb: "deadLetter", failure: { "tb-reason": "timed-out", "tb-attempts": "2" } });
});

test("a type without a consumer goes through the delayed retries only, for a deployment may be under way", async () => {
  const made = await started(failing);
  const answers: Answer[] = [];
  for (let headers: Record<string, string> = {}; ; ) {
    const answer = await answerOf(made.transport.deliverMessage("shop", "shop.unheard-of", {}, {}, { headers }));
    answers.push(answer);
    if (answer.verb !== "retry") break;
    headers = { ...answer.failure };
  }
  expect(answers.map(({ verb }) => verb)).toEqual(["retry", "retry", "retry", "deadLetter"]);
  expect(answers[3]).toMatchObject({ failure: { "tb-reason": "no-consumer", "tb-attempts": "4" } });
});

describe("the history that comes with a message is believed as far as it makes sense:", () => {
  const hostile: [headers: Record<string, string>, attempt: number][] = [
    [{ "tb-attempts": "NaN" }, 1],
    [{ "tb-attempts": "-1" }, 1],
    [{ "tb-attempts": `1${"0".repeat(30)}` }, 1],
    [{ "tb-attempts": "1.5", "tb-round": "1" }, 1],
    [{ "tb-attempts": "0x10" }, 1],
    [{ "tb-attempts": " 3" }, 1],
    [{ "tb-attempts": "4", "tb-round": "1", "tb-first-failed-at": "+300000-01-01T00:00:00.000Z" }, 5],
    [{ "tb-attempts": "999999", "tb-round": "-7" }, 1_000_000],
  ];
  test.each(hostile)("%j", async (headers, attempt) => {
    const attempts: number[] = [];
    const made = await started((_, context) => void attempts.push(context.attempt));
    expect((await answerOf(made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { headers }))).verb).toBe("complete");
    expect(attempts).toEqual([attempt]);
  });

  test("more rounds than there are delays: the last round, then the dead letters", async () => {
    const made = await started(failing, { retry: { immediate: 0, delays: ["1s"] } });
    const { answers } = await toTheEnd(made, { "tb-attempts": "5", "tb-round": "999999" });
    expect(answers.map(({ verb }) => verb)).toEqual(["deadLetter"]);
  });

  test("the consumer never sees the bus's own headers", async () => {
    let seen: object | undefined;
    const made = await started((_, { headers }) => {
      seen = headers;
    });
    await answerOf(
      made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { headers: { "tb-attempts": "1", "tb-x": "y", tenant: "t" } }),
    );
    expect(seen).toEqual({ tenant: "t" });
  });
});

describe("what is taken away between two runs, since they are so slow that the broker lets nobody hold it for longer,", () => {
  /** Fails, and is taken away after each second run of a delivery. */
  const slow = (attempts: number[], held: () => ScriptedDelivery | undefined): Consume => {
    let runs = 0;
    return (_, { attempt }) => {
      attempts.push(attempt);
      if (++runs % 2 === 0) held()?.lose();
      throw new Error("no");
    };
  };

  test.each(["none", "key"] as const)("goes on where it stood when it comes back, and so comes to its end [order %s]", async (order) => {
    const attempts: number[] = [];
    let held: ScriptedDelivery | undefined;
    const made = await started(
      slow(attempts, () => held),
      { order, retry: { immediate: 4, delays: [] } },
    );
    const answers: Answer["verb"][] = [];
    for (let visit = 0; visit < 3; visit++) {
      held = made.transport.deliverMessage("shop", "shop.placed", { n: 1 });
      answers.push((await answerOf(held)).verb);
    }
    expect(attempts).toEqual([1, 2, 3, 4, 5]);
    expect(answers).toEqual(["release", "release", "deadLetter"]);
    expect(held?.answer).toMatchObject({ verb: "deadLetter", failure: { "tb-attempts": "5" } });
  });

  test("goes on where another instance has brought it meanwhile, when that is further", async () => {
    const attempts: number[] = [];
    let held: ScriptedDelivery | undefined;
    const made = await started(
      slow(attempts, () => held),
      { retry: { immediate: 3, delays: ["10s", "1m"] } },
    );
    held = made.transport.deliverMessage("shop", "shop.placed", { n: 1 });
    await answerOf(held);
    held = undefined;

    const stored = made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { headers: { "tb-attempts": "8", "tb-round": "2" } });

    expect(await answerOf(stored)).toMatchObject({ verb: "deadLetter", failure: { "tb-attempts": "12" } });
    expect(attempts).toEqual([1, 2, 9, 10, 11, 12]);
  });
});

describe('with order: "key"', () => {
  const inOrder: EndpointOptions = { order: "key", retry: { immediate: 0, delays: ["10s", "1m"] } };
  const deliver = ({ transport }: TestBus, n: number, partitionKey: string | undefined) =>
    transport.deliverMessage("shop", "shop.placed", { n }, { messageId: `m${n}`, partitionKey });

  test("a delayed retry waits in its key's lane: what follows waits behind it, other keys go on", async () => {
    const runs: string[] = [];
    const made = await started(({ n }, { attempt }) => {
      runs.push(`${n}.${attempt}`);
      if (n === 1 && attempt < 3) throw new Error("no");
    }, inOrder);
    const [first, second, other, free] = [deliver(made, 1, "a"), deliver(made, 2, "a"), deliver(made, 3, "b"), deliver(made, 4, undefined)];
    await vi.advanceTimersByTimeAsync(0);
    expect(runs).toEqual(["1.1", "3.1", "4.1"]);
    expect([other.answer?.verb, free.answer?.verb, first.answer, second.answer]).toEqual(["complete", "complete", undefined, undefined]);
    await vi.advanceTimersByTimeAsync(9_990);
    expect(runs).toHaveLength(3);
    await vi.advanceTimersByTimeAsync(20);
    expect(runs.slice(3)).toEqual(["1.2"]);
    await vi.advanceTimersByTimeAsync(60_010);
    expect(runs.slice(4)).toEqual(["1.3", "2.1"]);
    expect([first.answer?.verb, second.answer?.verb]).toEqual(["complete", "complete"]);
    expect(made.transport.plans[0]?.endpoints[0]?.retryDelaysMs).toEqual([]);
    expect(made.bus.health().endpoints[0]?.counts).toMatchObject({ handled: 4, retried: 2 });
  });

  test("a delivery that is lost while it waits keeps its attempts and its due time in this process", async () => {
    const attempts: number[] = [];
    const made = await started((_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("no");
    }, inOrder);
    const lost = deliver(made, 1, "a");
    await vi.advanceTimersByTimeAsync(4_000);
    lost.lose();
    await vi.advanceTimersByTimeAsync(0);
    expect(lost.answer).toEqual({ verb: "release" });
    const again = deliver(made, 1, "a");
    await vi.advanceTimersByTimeAsync(5_990);
    expect(attempts).toEqual([1]);
    await vi.advanceTimersByTimeAsync(20);
    expect(attempts).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(60_010);
    expect(attempts).toEqual([1, 2, 3]);
    expect(again.answer).toMatchObject({ verb: "deadLetter", failure: { "tb-attempts": "3" } });
  });

  test("one that is lost while it runs again keeps its attempts too", async () => {
    const attempts: number[] = [];
    const made = await started((_, { attempt, signal }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("no");
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }, inOrder);
    const lost = deliver(made, 1, "a");
    await vi.advanceTimersByTimeAsync(10_010);
    expect(attempts).toEqual([1, 2]);
    lost.lose();
    await vi.advanceTimersByTimeAsync(0);
    deliver(made, 1, "a");
    await vi.advanceTimersByTimeAsync(0);
    expect(attempts).toEqual([1, 2, 2]);
  });

  test("a stop gives back what waits in the lanes, in its order", async () => {
    const made = await started(failing, inOrder);
    const order: number[] = [];
    made.transport.onAnswer = (delivery) => order.push(deliveries.indexOf(delivery));
    const deliveries = [deliver(made, 1, "a"), deliver(made, 2, "a"), deliver(made, 3, "a")];
    await vi.advanceTimersByTimeAsync(0);
    void made.bus.stop();
    await vi.advanceTimersByTimeAsync(0);
    expect(deliveries.map(({ answer }) => answer?.verb)).toEqual(["release", "release", "release"]);
    expect(order).toEqual([0, 1, 2]);
  });
});

test("a run that failed while the bus stops is still retried later by the broker, as if it did not stop", async () => {
  let fail: (() => void) | undefined;
  const made = await started(() => new Promise<void>((_, reject) => (fail = () => reject(new Error("no")))), {
    retry: { immediate: 0, delays: ["10s"] },
  });
  const delivery = made.transport.deliverMessage("shop", "shop.placed", { n: 1 });
  await vi.advanceTimersByTimeAsync(0);
  void made.bus.stop();
  await vi.advanceTimersByTimeAsync(0);
  fail?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(delivery.answer).toMatchObject({ verb: "retry", delayMs: 10_000 });
});

test("many waits at one time warn of no leak of listeners", async () => {
  const warnings: unknown[] = [];
  const listen = (warning: unknown): void => void warnings.push(warning);
  process.on("warning", listen);
  const made = await started(failing, { order: "key", concurrency: 40, prefetch: 40 });
  for (let n = 0; n < 40; n++) made.transport.deliverMessage("shop", "shop.placed", { n }, { messageId: `m${n}`, partitionKey: `k${n}` });
  await vi.advanceTimersByTimeAsync(3000);
  vi.useRealTimers();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  expect(warnings).toEqual([]);
});

test("a class that a consumer is made of is made anew for each run", async () => {
  const made = testBus({ deduplication: false, retry: { immediateDelay: 0 } });
  buses.push(made.bus);
  const instances = new Set<object>();
  made.bus.subscribe(
    Shipped,
    class {
      async consume(): Promise<void> {
        instances.add(this);
        if (instances.size < 3) throw new Error("not yet");
      }
    },
  );
  await made.bus.start();
  expect((await answerOf(made.transport.deliverMessage("shop", "shop.shipped", { n: 1 }))).verb).toBe("complete");
  expect(instances.size).toBe(3);
});

describe("a suspect that fails", () => {
  test("is told to have survived its run, so that it need not run alone again", async () => {
    let runs = 0;
    const made = await started(
      () => {
        if (++runs === 1) throw new Error("not yet");
      },
      { retry: { immediate: 1, immediateDelay: 1 } },
    );
    const delivery = made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { suspicion: "careful" });
    const survived = vi.fn();
    Object.assign(delivery, { survived });

    expect((await answerOf(delivery)).verb).toBe("complete");

    expect(survived).toHaveBeenCalledTimes(1);
  });

  test("is not told so after a run that timed out, which may still go on", async () => {
    const made = await started(() => new Promise(() => {}), { handlerTimeout: 1000 });
    const delivery = made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { suspicion: "careful" });
    const survived = vi.fn();
    Object.assign(delivery, { survived });

    expect((await answerOf(delivery)).verb).toBe("retry");

    expect(survived).not.toHaveBeenCalled();
  });
});
