import { expect, test } from "vitest";
import { PendingBudget } from "../../../src/outgoing/pending-budget.js";

test("there are as many places as the maximum says, and a place that is given back can be taken again", () => {
  const budget = new PendingBudget(2);
  expect([budget.take(), budget.take(), budget.take()]).toEqual([true, true, false]);
  expect(budget.used).toBe(2);
  budget.give(2);
  expect([budget.used, budget.take()]).toEqual([0, true]);
});

test("a run has as many places of its own, which count in the whole, and are had although that is full", () => {
  const budget = new PendingBudget(2);
  const run = budget.ofRun();
  budget.take();
  expect([run.take(), budget.take(), run.take(), run.take()]).toEqual([true, false, true, false]);
  expect(budget.used).toBe(3);
  run.give(2);
  expect([budget.used, run.used, budget.take()]).toEqual([1, 0, true]);
});
