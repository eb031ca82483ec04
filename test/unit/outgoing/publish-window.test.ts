import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PublishWindows } from "../../../src/outgoing/publish-window.js";
import type { Linked } from "../../../src/util/linked-set.js";

interface Entry extends Linked {
  readonly name: string;
}
const entry = (name: string): Entry => ({ name });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("what begins within one slice of time shares one timer", () => {
  const windows = new PublishWindows<Entry>(10_000, () => {});
  const first = windows.current;
  for (let i = 0; i < 1000; i++) windows.current.add(entry(`${i}`));
  expect(windows.current).toBe(first);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(500);
  expect(windows.current).not.toBe(first);
  expect(vi.getTimerCount()).toBe(2);
});

test("a slice is a twentieth of the time, at most a second", () => {
  const windows = new PublishWindows<Entry>(60_000, () => {});
  const first = windows.current;
  first.add(entry("a"));
  vi.advanceTimersByTime(999);
  expect(windows.current).toBe(first);
  vi.advanceTimersByTime(1);
  expect(windows.current).not.toBe(first);
});

test("nobody's time is cut short, and nobody's is longer than by a slice: the signal first, then who is outstanding", () => {
  const expired: string[] = [];
  const windows = new PublishWindows<Entry>(10_000, (entries) => {
    expect(window.signal.aborted).toBe(true);
    expired.push(...entries.map(({ name }) => name));
  });
  const window = windows.current;
  window.add(entry("first"));
  vi.advanceTimersByTime(499);
  expect(windows.current).toBe(window);
  window.add(entry("last"));
  vi.advanceTimersByTime(10_000);
  expect(expired).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(expired).toEqual(["first", "last"]);
});

test("a window that is over and empty is let go with its timer; one that may still be entered is kept", () => {
  const windows = new PublishWindows<Entry>(10_000, () => {});
  const window = windows.current;
  const [a, b] = [entry("a"), entry("b")];
  window.add(a);
  window.delete(a);
  windows.drop(window);
  expect(windows.current).toBe(window);
  vi.advanceTimersByTime(500);
  const next = windows.current;
  expect(vi.getTimerCount()).toBe(1);
  next.add(b);
  vi.advanceTimersByTime(500);
  windows.drop(next);
  expect(vi.getTimerCount()).toBe(1);
  next.delete(b);
  windows.drop(next);
  expect(vi.getTimerCount()).toBe(0);
});

test("an empty window does not keep the process alive, and one that is waited for does", () => {
  vi.useRealTimers();
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const windows = new PublishWindows<Entry>(10_000, () => {});
  const window = windows.current;
  const a = entry("a");
  window.add(a);
  expect(timers()).toBe(before + 1);
  window.delete(a);
  expect(timers()).toBe(before);
  window.add(entry("b"));
  expect(timers()).toBe(before + 1);
  windows.endAll();
  expect(timers()).toBe(before);
});

test("endAll ends the time of everything outstanding, at once", () => {
  const expired: string[] = [];
  const windows = new PublishWindows<Entry>(10_000, (entries) => void expired.push(...entries.map(({ name }) => name)));
  windows.current.add(entry("a"));
  vi.advanceTimersByTime(600);
  windows.current.add(entry("b"));
  windows.endAll();
  expect(expired).toEqual(["a", "b"]);
  expect(vi.getTimerCount()).toBe(0);
  expect(windows.current.signal.aborted).toBe(false);
});
