import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { LoopTurn } from "../../../src/endpoint/loop-turn.js";

const compute = (ms: number): void => {
  for (const until = performance.now() + ms; performance.now() < until; );
};

/** Counts the turns of the event loop from now on. */
function turnCounter(): { readonly turns: number; stop(): void } {
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  return {
    get turns() {
      return turns;
    },
    stop: () => clearImmediate(counting),
  };
}

test("what computes little runs in the turn in which it comes, and soon without waiting for what came before it", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const counter = turnCounter();
  try {
    const turn = new LoopTurn();
    let waited = 0;
    const run = (): Promise<void> | undefined => {
      if (turn.tryEnter()) return undefined;
      waited++;
      return turn.enter();
    };
    await Promise.all(Array.from({ length: 1_000 }, run));
    expect(counter.turns).toBe(0);
    await nextTurn();
    waited = 0;
    await Promise.all(Array.from({ length: 500 }, run));
    expect(waited).toBe(0);
  } finally {
    counter.stop();
    now.mockRestore();
  }
});

test("of several that compute long after their first await one runs in each turn, and as many as fit of those that compute for a while", async () => {
  const turn = new LoopTurn();
  const counter = turnCounter();
  const run = async (ms: number, at: number[]): Promise<void> => {
    if (!turn.tryEnter()) await turn.enter();
    await Promise.resolve();
    at.push(counter.turns);
    compute(ms);
  };
  const long: number[] = [];
  await Promise.all(Array.from({ length: 4 }, () => run(60, long)));
  expect(new Set(long).size).toBe(4);
  const short: number[] = [];
  await Promise.all(Array.from({ length: 12 }, () => run(10, short)));
  expect(new Set(short).size).toBeGreaterThan(1);
  counter.stop();
});

test("after a time without handlers it is learnt anew how many may begin at once", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  try {
    const turn = new LoopTurn();
    const enter = (): boolean => turn.tryEnter();
    await Promise.all(Array.from({ length: 8 }, () => (enter() ? undefined : turn.enter())));
    await nextTurn();
    now.mockReturnValue(900);
    expect([enter(), enter(), enter()]).toEqual([true, true, true]);
    await nextTurn();
    now.mockReturnValue(2_000);
    expect([enter(), enter()]).toEqual([true, false]);
  } finally {
    now.mockRestore();
  }
});

test("what comes after much computing waits for another turn, and all that waits is let in, in order", async () => {
  const turn = new LoopTurn();
  expect(turn.tryEnter()).toBe(true);
  compute(60);
  expect(turn.tryEnter()).toBe(false);
  const entered: number[] = [];
  const all = Promise.all([1, 2, 3].map((n) => turn.enter().then(() => entered.push(n))));
  await Promise.resolve();
  expect(entered).toEqual([]);
  await all;
  expect(entered).toEqual([1, 2, 3]);
  await nextTurn();
  expect(turn.tryEnter()).toBe(true);
});

test("of several that compute long one runs in each turn", async () => {
  const turn = new LoopTurn();
  expect(turn.tryEnter()).toBe(true);
  compute(60);
  const counter = turnCounter();
  const at: number[] = [];
  const run = async (): Promise<void> => {
    await turn.enter();
    at.push(counter.turns);
    compute(60);
  };
  await Promise.all([run(), run(), run()]);
  counter.stop();
  expect(new Set(at).size).toBe(3);
});
