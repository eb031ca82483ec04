import { getEventListeners } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { delay } from "../../../src/util/delay.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a delay takes its time, and leaves no listener behind", async () => {
  const { signal } = new AbortController();
  let over = false;
  void delay(100, signal).then(() => {
    over = true;
  });
  await vi.advanceTimersByTimeAsync(99);
  expect(over).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(over).toBe(true);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("the first of several signals ends it, with its timer and all its listeners", async () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = delay(100, first.signal, second.signal);
  second.abort();
  await waiting;
  expect(vi.getTimerCount()).toBe(0);
  expect(getEventListeners(first.signal, "abort")).toEqual([]);
});

test("a signal that has been aborted leaves nothing to wait for", async () => {
  await delay(100, new AbortController().signal, AbortSignal.abort());
  expect(vi.getTimerCount()).toBe(0);
});
