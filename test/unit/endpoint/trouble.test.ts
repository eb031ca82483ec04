import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Trouble } from "../../../src/endpoint/trouble.js";
import { Turns } from "../../../src/endpoint/turns.js";
import { Abandoned } from "../../../src/pipeline/control.js";
import { RecordingLogger } from "../../support/recording-logger.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function trouble() {
  const turns = new Turns(1);
  const logger = new RecordingLogger();
  const abandon = new AbortController();
  return { turns, logger, abandon, trouble: new Trouble("shop", turns, logger, abandon.signal) };
}
const down = new Error("connection refused");

test("a step is repeated until it succeeds; meanwhile the endpoint pauses and says why", async () => {
  const made = trouble();
  let tries = 0;
  const result = made.trouble.until("the store takes no claim", down, async () => {
    if (++tries < 4) throw new Error(`still ${tries}`);
    return "claimed";
  });
  expect(made.trouble.reason).toBe("the store takes no claim: connection refused");
  expect(made.turns.tryTake()).toBe(false);
  await vi.advanceTimersByTimeAsync(100);
  expect(made.trouble.reason).toBe("the store takes no claim: still 1");
  await vi.advanceTimersByTimeAsync(2000);
  expect(await result).toBe("claimed");
  expect(made.trouble.reason).toBeUndefined();
  expect(made.turns.tryTake()).toBe(true);
  expect(made.logger.lines.map(({ level }) => level)).toEqual(["warn", "info"]);
});

test("the tries come ever more seldom, at last every five seconds", async () => {
  const made = trouble();
  let tries = 0;
  void made.trouble.until("x", down, async () => {
    tries++;
    throw down;
  });
  await vi.advanceTimersByTimeAsync(100);
  expect(tries).toBe(1);
  await vi.advanceTimersByTimeAsync(20_000);
  const before = tries;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(tries - before).toBeGreaterThanOrEqual(12);
  expect(tries - before).toBeLessThanOrEqual(25);
});

test("several troubles at one time are one pause, which ends with the last; it is told of once", async () => {
  const made = trouble();
  const ends = new Map<string, () => void>();
  const both = ["a", "b"].map((what) => made.trouble.until(what, down, () => new Promise<void>((resolve) => void ends.set(what, resolve))));
  await vi.advanceTimersByTimeAsync(100);
  ends.get("a")?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(made.turns.tryTake()).toBe(false);
  expect(made.trouble.reason).toBe("b: connection refused");
  ends.get("b")?.();
  await Promise.all(both);
  expect(made.turns.tryTake()).toBe(true);
  expect(made.logger.texts("warn")).toHaveLength(1);
});

test("nothing is repeated after the deadline of the stop: the wait ends at once, and the pause with it", async () => {
  const made = trouble();
  let tries = 0;
  const result = made.trouble.until("x", down, async () => void tries++);
  made.abandon.abort();
  await expect(result).rejects.toBeInstanceOf(Abandoned);
  expect([tries, vi.getTimerCount(), made.trouble.reason]).toEqual([0, 0, undefined]);
});

test("nothing is repeated when that is of no use any more", async () => {
  const made = trouble();
  const result = made.trouble
    .until(
      "x",
      down,
      () => Promise.reject(down),
      () => true,
    )
    .catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(100);
  expect(await result).toBeInstanceOf(Abandoned);
});
