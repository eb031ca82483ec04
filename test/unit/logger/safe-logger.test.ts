import { afterEach, expect, test, vi } from "vitest";
import type { Logger } from "../../../src/index.js";
import { safeLogger } from "../../../src/logger/safe-logger.js";
import { RecordingLogger } from "../../support/recording-logger.js";

afterEach(() => void vi.restoreAllMocks());

test("every line reaches the user's logger as it is, called as its own method", () => {
  const logger = new RecordingLogger();
  const safe = safeLogger(logger);
  for (const level of ["debug", "info", "warn", "error"] as const) safe[level](level, { level });
  safe.info("without fields");
  expect(logger.lines).toEqual([
    ...(["debug", "info", "warn", "error"] as const).map((level) => ({ level, text: level, fields: { level } })),
    { level: "info", text: "without fields", fields: undefined },
  ]);
});

test("what it throws reaches nobody but stderr, and that once", () => {
  const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const fail = (): never => {
    throw new Error("the disk is full");
  };
  const safe = safeLogger({ debug: fail, info: fail, warn: fail, error: fail } satisfies Logger);
  safe.debug("a");
  safe.error("b", {});
  expect(stderr).toHaveBeenCalledTimes(1);
  expect(stderr.mock.calls[0]?.[0]).toContain("the disk is full");
});
