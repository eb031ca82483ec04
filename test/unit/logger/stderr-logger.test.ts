import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stderrLogger } from "../../../src/logger/stderr-logger.js";

let written: string[] = [];

beforeEach(() => {
  written = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

test("warnings and errors are one line each: time, level, text, fields", () => {
  stderrLogger.warn("the broker is slow", { endpoint: "shipping", waiting: 3 });
  stderrLogger.error("the broker is gone");
  expect(written).toEqual([
    expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARN {2}the broker is slow \{"endpoint":"shipping","waiting":3\}\n$/),
    expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR the broker is gone\n$/),
  ]);
});

test("what is below a warning is not written", () => {
  stderrLogger.debug("detail", { a: 1 });
  stderrLogger.info("started");
  expect(written).toEqual([]);
});

test("errors among the fields are name and message, at any depth", () => {
  stderrLogger.error("failed", { error: new TypeError("no orderId"), nested: { cause: new RangeError("too far") } });
  expect(written[0]).toContain('{"error":"TypeError: no orderId","nested":{"cause":"RangeError: too far"}}');
});

test("a message from the wire cannot forge a line or move the cursor", () => {
  stderrLogger.warn("id a\r\n2026-01-01T00:00:00.000Z ERROR forged\u001b[2J\u2028", { id: "b\nc\u001b[1m\u009b" });
  expect(written).toHaveLength(1);
  expect(written[0]?.match(/\n/g)).toHaveLength(1);
  expect(written[0]).not.toMatch(/[\p{Cc}\u2028](?!$)/u);
  expect(written[0]).toContain("id a\\r\\n2026");
});

test("fields that JSON cannot carry do not stop the line", () => {
  const cycle: Record<string, unknown> = { a: 1 };
  cycle["self"] = cycle;
  stderrLogger.error("cycle", cycle);
  stderrLogger.error("odd", { big: 5n, symbol: Symbol("s"), gone: undefined });
  stderrLogger.error("throws", {
    get a(): never {
      throw new Error("no");
    },
    b: 1,
  });
  expect(written[0]).toContain('{"a":1,"self":"(not JSON: TypeError)"}');
  expect(written[1]).toContain('{"big":"5","symbol":"Symbol(s)"}');
  expect(written[2]).toContain('{"a":"(not JSON: Error)","b":1}');
});

test("a stderr that nobody reads any more does not end the process", () => {
  const listeners = process.stderr.listenerCount("error");
  vi.mocked(process.stderr.write).mockImplementation(((_: string, done: (error?: Error) => void) => {
    done(new Error("EPIPE"));
    process.stderr.emit("error", new Error("EPIPE"));
    return false;
  }) as typeof process.stderr.write);
  expect(() => stderrLogger.error("the broker is gone")).not.toThrow();
  expect(process.stderr.listenerCount("error")).toBe(listeners);
});
