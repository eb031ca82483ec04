import { describe, expect, test } from "vitest";
import { Turns } from "../../../src/endpoint/turns.js";
import { settled } from "../../support/until.js";

/** Takes a turn, and tells what came of it. */
function take(turns: Turns, begun = false): { granted: boolean | undefined } {
  const told: { granted: boolean | undefined } = { granted: undefined };
  void turns.take(begun).then((granted) => {
    told.granted = granted;
  });
  return told;
}

describe("turns", () => {
  test("there are as many as the concurrency", () => {
    const turns = new Turns(2);
    expect([turns.tryTake(), turns.tryTake(), turns.tryTake()]).toEqual([true, true, false]);
    turns.give();
    expect(turns.tryTake()).toBe(true);
  });

  test("go to those who wait, first come, first served, and nobody passes them", async () => {
    const turns = new Turns(1);
    turns.tryTake();
    const [first, second] = [take(turns), take(turns)];
    turns.give();
    expect(turns.tryTake()).toBe(false);
    await settled(1);
    expect([first.granted, second.granted]).toEqual([true, undefined]);
    turns.give();
    await settled(1);
    expect(second.granted).toBe(true);
  });

  test("are not given while the endpoint is paused, and all at once when the last pause is over", async () => {
    const turns = new Turns(2);
    turns.pause();
    turns.pause();
    expect(turns.tryTake()).toBe(false);
    const both = [take(turns), take(turns)];
    turns.resume();
    await settled(1);
    expect(both.map(({ granted }) => granted)).toEqual([undefined, undefined]);
    turns.resume();
    await settled(1);
    expect(both.map(({ granted }) => granted)).toEqual([true, true]);
  });

  test("are not given while as many strays still run, until one of them ends", async () => {
    const turns = new Turns(2);
    turns.strayBegan();
    expect(turns.stalled).toBe(false);
    turns.strayBegan();
    expect([turns.stalled, turns.strays, turns.tryTake()]).toEqual([true, 2, false]);
    const waiting = take(turns);
    turns.strayEnded();
    await settled(1);
    expect([turns.stalled, waiting.granted]).toEqual([false, true]);
  });

  test("after the close nothing begins, but what has begun goes on: also what waited already when it came", async () => {
    const turns = new Turns(1);
    turns.tryTake();
    const [beginning, begun] = [take(turns), take(turns, true)];
    turns.close();
    await settled(1);
    expect([beginning.granted, begun.granted]).toEqual([false, undefined]);
    expect(turns.tryTake()).toBe(false);
    expect(await turns.take(false)).toBe(false);
    const later = take(turns, true);
    turns.give();
    await settled(1);
    expect([begun.granted, later.granted]).toEqual([true, undefined]);
    turns.give();
    await settled(1);
    expect(later.granted).toBe(true);
  });

  test("after the deadline nothing goes on either", async () => {
    const turns = new Turns(1);
    turns.tryTake();
    turns.close();
    const begun = take(turns, true);
    turns.abandon();
    await settled(1);
    expect(begun.granted).toBe(false);
    expect(await turns.take(true)).toBe(false);
  });
});
