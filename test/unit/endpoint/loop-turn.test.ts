import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { LoopTurn } from "../../../src/endpoint/loop-turn.js";

const compute = (ms: number): void => {
  for (const until = performance.now() + ms; performance.now() < until; );
};

test("what computes little runs in the turn in which it comes", () => {
  const turn = new LoopTurn();
  expect(Array.from({ length: 1_000 }, () => turn.hasTime)).not.toContain(false);
});

test("what comes after much computing waits for another turn, and all that waits is let in, in order", async () => {
  const turn = new LoopTurn();
  expect(turn.hasTime).toBe(true);
  compute(60);
  expect(turn.hasTime).toBe(false);
  const entered: number[] = [];
  const all = Promise.all([1, 2, 3].map((n) => turn.next().then(() => entered.push(n))));
  await Promise.resolve();
  expect(entered).toEqual([]);
  await all;
  expect(entered).toEqual([1, 2, 3]);
  await nextTurn();
  expect(turn.hasTime).toBe(true);
});

test("of several that compute long one runs in each turn", async () => {
  const turn = new LoopTurn();
  expect(turn.hasTime).toBe(true);
  compute(60);
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const at: number[] = [];
  const run = async (): Promise<void> => {
    await turn.next();
    at.push(turns);
    compute(60);
  };
  await Promise.all([run(), run(), run()]);
  clearImmediate(counting);
  expect(new Set(at).size).toBe(3);
});
