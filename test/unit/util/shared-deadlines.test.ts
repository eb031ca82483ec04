import { expect, test, vi } from "vitest";
import { SharedDeadlines } from "../../../src/util/shared-deadlines.js";

test("calls that end with the same signal share one listener, and are told of together, in their order, but for those that were taken out", () => {
  const ended: string[][] = [];
  const deadlines = new SharedDeadlines<string>((entries) => void ended.push([...entries]));
  const controller = new AbortController();
  const listen = vi.spyOn(controller.signal, "addEventListener");
  deadlines.add(controller.signal, ["a", "b"]);
  const taken = deadlines.add(controller.signal, ["c"]);
  deadlines.add(controller.signal, ["d"]);
  deadlines.add(new AbortController().signal, ["another"]);
  deadlines.remove(taken);
  deadlines.remove(taken);
  expect(listen).toHaveBeenCalledTimes(1);
  controller.abort();
  expect(ended).toEqual([["a", "b", "d"]]);
});

test("a signal that nobody waits for any more is left alone, and may be waited for again", () => {
  const ended: string[][] = [];
  const deadlines = new SharedDeadlines<string>((entries) => void ended.push([...entries]));
  const controller = new AbortController();
  const leave = vi.spyOn(controller.signal, "removeEventListener");
  deadlines.remove(deadlines.add(controller.signal, ["a"]));
  expect(leave).toHaveBeenCalledTimes(1);
  const again = deadlines.add(controller.signal, ["b"]);
  controller.abort();
  expect(ended).toEqual([["b"]]);
  // It has ended: to take it out is too late, and does no harm.
  deadlines.remove(again);
  expect(leave).toHaveBeenCalledTimes(1);
});
