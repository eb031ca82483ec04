import { describe, expect, test } from "vitest";
import { failureHeaders } from "../../../src/retry/failure-headers.js";

const history = { attempts: 4, round: 1, firstFailedAt: new Date("2026-01-01T00:00:00.000Z") };

function headersOf(error: unknown, changes: Partial<Parameters<typeof failureHeaders>[0]> = {}) {
  return failureHeaders({
    reason: "failed",
    error,
    history,
    endpoint: "shipping",
    source: "shipping",
    now: new Date("2026-01-01T00:01:00.000Z"),
    ...changes,
  });
}
const bytesOf = (headers: object): number => Buffer.byteLength(Object.entries(headers).flat().join(""));

test("they tell everything about a failure", () => {
  const error = Object.assign(new TypeError("no"), { stack: "TypeError: no\n    at here" });
  expect(headersOf(error)).toEqual({
    "tb-reason": "failed",
    "tb-error-name": "TypeError",
    "tb-error-message": "no",
    "tb-error-stack": "TypeError: no\n    at here",
    "tb-attempts": "4",
    "tb-round": "1",
    "tb-endpoint": "shipping",
    "tb-source": "shipping",
    "tb-first-failed-at": "2026-01-01T00:00:00.000Z",
    "tb-last-failed-at": "2026-01-01T00:01:00.000Z",
  });
});

test("a first failure is the first of all", () => {
  expect(headersOf("no", { history: { attempts: 1, round: 0, firstFailedAt: undefined } })["tb-first-failed-at"]).toBe(
    "2026-01-01T00:01:00.000Z",
  );
});

describe("message and stack together take at most 4 KiB, and all headers at most 8", () => {
  const long = "é".repeat(10 * 1024 * 1024);
  const sizes: [what: string, error: unknown][] = [
    ["a stack of 20 MB", Object.assign(new Error("short"), { stack: long })],
    ["a message of 20 MB", Object.assign(new Error(), { message: long, stack: long })],
    ["a name of 20 MB", Object.assign(new Error("x"), { name: long })],
    ["text of 20 MB", long],
    ["text of surrogate pairs", "😀".repeat(5000)],
    ["halves of surrogate pairs", "\ud83d".repeat(5000)],
  ];
  test.each(sizes)("%s", (_, error) => {
    const headers = headersOf(error, { source: long.slice(0, 10_000) });
    const details = (headers["tb-error-message"] ?? "") + (headers["tb-error-stack"] ?? "");
    expect(Buffer.byteLength(details)).toBeLessThanOrEqual(4096);
    expect(bytesOf(headers)).toBeLessThanOrEqual(8192);
    // No half of a character is left at a cut.
    for (const value of Object.values(headers)) expect(Buffer.from(value).toString()).toBe(value);
  });

  test("a long message leaves its stack what is left", () => {
    const headers = headersOf(Object.assign(new Error("m".repeat(4000)), { stack: "s".repeat(4000) }));
    expect([headers["tb-error-message"]?.length, headers["tb-error-stack"]?.length]).toEqual([4000, 96]);
    expect(headersOf(Object.assign(new Error("m".repeat(5000)), { stack: "s" }))).not.toHaveProperty("tb-error-stack");
  });
});

test.each([[null], [undefined], [Symbol("s")], [Object.freeze({})], [Object.create(null)]])(
  "they are made of whatever was thrown: %s",
  (error) => {
    expect(Object.values(headersOf(error)).every((value) => typeof value === "string")).toBe(true);
  },
);
