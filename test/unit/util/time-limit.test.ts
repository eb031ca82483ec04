import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { settledBy, within } from "../../../src/util/time-limit.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const late = (): Error => new Error("late");
const never = new Promise<never>(() => {});

describe("within", () => {
  test("gives what the work gives in time, and leaves no timer behind", async () => {
    expect(await within(1000, Promise.resolve("done"), late)).toBe("done");
    await expect(within(1000, Promise.reject(new Error("failed")), late)).rejects.toThrow("failed");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("rejects when the time is over, with the error that is made then", async () => {
    const made = vi.fn(late);
    const result = expect(within(1000, never, made)).rejects.toThrow("late");
    await vi.advanceTimersByTimeAsync(999);
    expect(made).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await result;
  });

  test("work that fails after its time is over is nobody's unhandled rejection", async () => {
    let fail: ((error: Error) => void) | undefined;
    const work = new Promise<never>((_, reject) => (fail = reject));
    const result = expect(within(10, work, late)).rejects.toThrow("late");
    await vi.advanceTimersByTimeAsync(10);
    await result;
    fail?.(new Error("too late to matter"));
    await vi.advanceTimersByTimeAsync(0);
  });
});

describe("settledBy", () => {
  test("resolves when the work has ended, well or not", async () => {
    await settledBy(performance.now() + 1000, Promise.resolve());
    await settledBy(performance.now() + 1000, Promise.reject(new Error("failed")));
    expect(vi.getTimerCount()).toBe(0);
  });

  test("resolves at the deadline, whatever the work does", async () => {
    let isOver = false;
    void settledBy(performance.now() + 1000, never).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(999);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isOver).toBe(true);
  });

  test("a deadline that has passed is waited for by nobody", async () => {
    const waited = settledBy(performance.now() - 5, never);
    await vi.advanceTimersByTimeAsync(0);
    await waited;
  });
});
