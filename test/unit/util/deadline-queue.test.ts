import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DeadlineQueue } from "../../../src/util/deadline-queue.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function queue(timeoutMs = 1000) {
  const expired: string[] = [];
  const made = new DeadlineQueue<{ readonly name: string; readonly startedAt: number }>(timeoutMs, ({ name }) => void expired.push(name));
  const add = (name: string) => {
    const item = { name, startedAt: performance.now() };
    made.add(item);
    return item;
  };
  return { made, expired, add };
}

test("each item expires when its own time is up, with one timer for all", () => {
  const { expired, add } = queue();
  add("a");
  vi.advanceTimersByTime(300);
  add("b");
  add("c");
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(699);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(expired).toEqual(["a"]);
  vi.advanceTimersByTime(299);
  expect(expired).toEqual(["a"]);
  vi.advanceTimersByTime(1);
  expect(expired).toEqual(["a", "b", "c"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("what is deleted does not expire, and what comes later has its whole time", () => {
  const { made, expired, add } = queue();
  made.delete(add("a"));
  vi.advanceTimersByTime(900);
  add("b");
  vi.advanceTimersByTime(999);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(expired).toEqual(["b"]);
});

test("an item may delete others and add new ones when it expires", () => {
  const items: { name: string; startedAt: number }[] = [];
  const expired: string[] = [];
  const made = new DeadlineQueue<(typeof items)[number]>(1000, (item) => {
    expired.push(item.name);
    const next = items.at(1);
    if (next) made.delete(next);
    if (item.name === "a") made.add({ name: "late", startedAt: performance.now() });
  });
  for (const name of ["a", "b"]) {
    items.push({ name, startedAt: performance.now() });
    const last = items.at(-1);
    if (last) made.add(last);
  }
  vi.advanceTimersByTime(1000);
  expect(expired).toEqual(["a"]);
  vi.advanceTimersByTime(1000);
  expect(expired).toEqual(["a", "late"]);
});

test("nothing expires after it was cleared, and it can be used again", () => {
  const { made, expired, add } = queue();
  add("a");
  made.clear();
  expect(vi.getTimerCount()).toBe(0);
  add("b");
  vi.advanceTimersByTime(1000);
  expect(expired).toEqual(["b"]);
});
