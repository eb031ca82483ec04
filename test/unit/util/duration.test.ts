import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../../src/util/duration.js";

describe("a duration is read", () => {
  const read: [value: unknown, ms: number][] = [
    [0, 0],
    [250, 250],
    [0.5, 0.5],
    ["0ms", 0],
    ["250ms", 250],
    ["10s", 10_000],
    ["1.5s", 1500],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
  ];
  test.each(read)("%j", (value, ms) => expect(parseDuration(value)).toBe(ms));
});

test.each([
  [-1],
  [Number.NaN],
  [Number.POSITIVE_INFINITY],
  [""],
  ["10"],
  ["10 s"],
  ["s"],
  ["-1s"],
  ["1e3s"],
  [".5s"],
  ["10S"],
  ["1w"],
  ["10s "],
  ["10s\n"],
  [`${"9".repeat(13)}s`],
  [null],
  [undefined],
  [{}],
  [10n],
])("%s is none", (value) => expect(parseDuration(value)).toBeUndefined());

test.each([
  [60_000, "1m"],
  [90_000, "90s"],
  [1500, "1500ms"],
  [86_400_000, "1d"],
  [172_800_000, "2d"],
  [3_600_000, "1h"],
  [1, "1ms"],
  [0, "0ms"],
])("%i ms are written as %s, and read back", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
  expect(parseDuration(text)).toBe(ms);
});
