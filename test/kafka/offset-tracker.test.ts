import { describe, expect, test } from "vitest";
import { MAX_SPREAD, OffsetTracker, offsetsOf } from "../../transports/kafka/offset-tracker.js";

/** Far beyond 32 bits, so that an offset that is cut to them shows. */
const FAR = 2 ** 40 + 12_345;

describe("an offset tracker", () => {
  test("commits no further than the first record that is not done", () => {
    const tracker = new OffsetTracker(FAR);
    for (let i = 0; i < 5; i++) expect(tracker.take(FAR + i)).toBe(true);

    for (const i of [1, 2, 4]) expect(tracker.settle(FAR + i)).toBe(false);
    expect(tracker.low).toBe(FAR);
    expect([...offsetsOf(tracker.doneBeyond(), tracker.low)]).toEqual([FAR + 1, FAR + 2, FAR + 4]);

    expect(tracker.settle(FAR)).toBe(true);
    expect(tracker.low).toBe(FAR + 3);
    expect([...offsetsOf(tracker.doneBeyond(), tracker.low)]).toEqual([FAR + 4]);
  });

  test("takes a record once, however often it comes", () => {
    const tracker = new OffsetTracker(10);
    expect(tracker.take(10)).toBe(true);
    expect(tracker.take(10)).toBe(false);
    tracker.settle(10);
    expect(tracker.take(10)).toBe(false);
    expect(tracker.low).toBe(11);
  });

  test("does not take again what was done beyond the committed offset, and passes it", () => {
    const tracker = new OffsetTracker(10, [11, 13]);
    expect([10, 11, 12, 13, 14].map((offset) => tracker.take(offset))).toEqual([true, false, true, false, true]);
    for (const offset of [10, 12]) tracker.settle(offset);
    expect(tracker.low).toBe(14);
  });

  test("passes offsets that the log does not have, at the front, in the middle and at the end", () => {
    const tracker = new OffsetTracker(10);
    tracker.take(1000);
    expect(tracker.low).toBe(1000);
    tracker.take(1005);
    tracker.settle(1000);
    expect(tracker.low).toBe(1005);
    tracker.settle(1005);
    tracker.skipTo(1010);
    expect(tracker.low).toBe(1010);
  });

  test("passes a gap that is wider than what it can remember once nothing before it is open", () => {
    const tracker = new OffsetTracker(10, [12]);
    const beyond = 10 + 5 * MAX_SPREAD;
    expect(tracker.canTake(beyond)).toBe(true);
    expect(tracker.take(beyond)).toBe(true);
    expect([tracker.low, [...tracker.doneBeyond()]]).toEqual([beyond, []]);
    expect(tracker.take(beyond + 2)).toBe(true);
  });

  test("never passes an open record for a gap behind it that is wider than what it can remember", () => {
    const tracker = new OffsetTracker(100);
    tracker.take(100);
    tracker.skipTo(100 + 5 * MAX_SPREAD);
    expect(tracker.low).toBe(100);
    expect(tracker.isDone(100)).toBe(false);
    tracker.settle(100);
    tracker.skipTo(100 + 5 * MAX_SPREAD);
    expect(tracker.low).toBe(100 + 5 * MAX_SPREAD);
  });

  test("takes no record so far ahead of the slowest that its being done could not be remembered", () => {
    const tracker = new OffsetTracker(FAR);
    for (let i = 0; i < MAX_SPREAD; i++) {
      expect(tracker.canTake(FAR + i)).toBe(true);
      tracker.take(FAR + i);
    }
    expect(tracker.canTake(FAR + MAX_SPREAD)).toBe(false);
    for (let i = MAX_SPREAD - 1; i > 0; i--) tracker.settle(FAR + i);
    expect(tracker.doneBeyond()).toHaveLength(MAX_SPREAD / 8);
    tracker.settle(FAR);
    expect(tracker.low).toBe(FAR + MAX_SPREAD);
    expect(tracker.canTake(FAR + MAX_SPREAD)).toBe(true);
  });

  test("agrees with a plain set over long random histories with rests, gaps and reloads", () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    let tracker = new OffsetTracker(FAR);
    const done = new Set<number>();
    const open: number[] = [];
    let next = FAR;
    for (let step = 0; step < 50_000; step++) {
      if (random(3) > 0 || open.length === 0) {
        if (!tracker.canTake(next)) continue;
        if (random(50) === 0) for (let gap = random(20); gap > 0; gap--) done.add(next++);
        if (!tracker.canTake(next)) continue;
        if (tracker.take(next)) open.push(next);
        else expect(done.has(next)).toBe(true);
        next++;
      } else {
        const [offset] = open.splice(random(open.length), 1);
        if (offset === undefined) continue;
        tracker.settle(offset);
        done.add(offset);
      }
      if (random(5_000) === 0) {
        const bits = tracker.doneBeyond();
        tracker = new OffsetTracker(tracker.low, offsetsOf(bits, tracker.low));
        next = tracker.low;
        open.length = 0;
      }
      const isRight = open.every((offset) => offset >= tracker.low) && (open.includes(tracker.low) || tracker.low === tracker.position);
      if (!isRight) expect.fail(`at step ${step} the prefix ends at ${tracker.low}, the position is ${tracker.position}, open are ${open}`);
    }
    expect(next - FAR).toBeGreaterThan(10_000);
  });
});
