import { describe, expect, test } from "vitest";
import { readCount, readDate, readFailureHistory } from "../../../src/retry/failure-history.js";

test("a message that has not failed has no history", () => {
  expect(readFailureHistory({ tenant: "t" })).toEqual({ attempts: 0, round: 0, firstFailedAt: undefined });
});

test("a history is read as it was written", () => {
  const firstFailedAt = new Date("2026-01-02T03:04:05.678Z");
  expect(readFailureHistory({ "tb-attempts": "5", "tb-round": "1", "tb-first-failed-at": firstFailedAt.toISOString() })).toEqual({
    attempts: 5,
    round: 1,
    firstFailedAt,
  });
});

describe("what came over the wire and makes no sense counts as nothing", () => {
  test.each(["", " 1", "+1", "-1", "1.5", "1e3", "NaN", "Infinity", "0x10", "١", "1234567", "1\n", "9".repeat(100_000)])(
    "the count %j",
    (text) => {
      expect(readCount(text)).toBe(0);
    },
  );
  test("no count", () => expect(readCount(undefined)).toBe(0));
  test.each([["0"], ["7"], ["007"], ["999999"]])("but %j is one", (text) => expect(readCount(text)).toBe(Number(text)));

  test.each([
    "",
    "yesterday",
    "2026-01-02",
    "+300000-01-01T00:00:00.000Z",
    "-000001-01-01T00:00:00.000Z",
    "2026-13-01T00:00:00.000Z",
    "2026-01-01T25:00:00.000Z",
    "2026-01-02T03:04:05.678+01:00",
    "2026-01-02T03:04:05.678Z\n",
  ])("the date %j", (text) => {
    expect(readDate(text)).toBeUndefined();
  });
});

test("a date that is read can be written", () => {
  for (const text of ["0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-02-31T00:00:00.000Z"]) {
    expect(() => readDate(text)?.toISOString()).not.toThrow();
  }
});
