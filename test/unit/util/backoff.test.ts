import { afterEach, expect, test, vi } from "vitest";
import { backoffWithFullJitter, backoffWithHalfJitter } from "../../../src/util/backoff.js";

afterEach(() => void vi.restoreAllMocks());

test.each([
  [0, [0, 0, 0, 0], [50, 100, 200, 500]],
  [0.5, [50, 100, 200, 500], [75, 150, 300, 750]],
])("with the random number %d", (random, full, half) => {
  vi.spyOn(Math, "random").mockReturnValue(random);
  const attempts = [0, 1, 2, 50];
  expect(attempts.map((attempt) => backoffWithFullJitter(attempt, 100, 1000))).toEqual(full);
  expect(attempts.map((attempt) => backoffWithHalfJitter(attempt, 100, 1000))).toEqual(half);
});

test("no number of attempts makes it more than the most", () => {
  for (const attempt of [31, 1000, 10_000]) expect(backoffWithHalfJitter(attempt, 100, 5000)).toBeLessThanOrEqual(5000);
});
