import { expect, test } from "vitest";
import { NonRetryableError } from "../../../src/index.js";
import type { RetrySettings } from "../../../src/options/endpoint-settings.js";
import { RunFailure } from "../../../src/pipeline/control.js";
import { classify } from "../../../src/retry/classify.js";
import { RecordingLogger } from "../../support/recording-logger.js";

const verdictOn = (thrown: unknown, giveUpOn: RetrySettings["giveUpOn"] = []) =>
  classify(thrown, { immediate: 3, immediateDelayMs: 100, delaysMs: [], giveUpOn }, new RecordingLogger());

test("what a consumer throws is tried again at once", () => {
  const error = new Error("no");
  expect(verdictOn(error)).toEqual({ reason: "failed", error, again: "at-once" });
});

test.each([
  ["timed-out", "later"],
  ["no-consumer", "later"],
  ["invalid", "never"],
  ["undecodable", "never"],
  ["too-large", "never"],
  ["crashed", "never"],
] as const)("a run that is %s is tried again %s", (reason, again) => {
  const failure = new RunFailure(reason, "text");
  expect(verdictOn(failure)).toEqual({ reason, error: failure, again });
});

test("the cause of a failure of ours is what is told", () => {
  const cause = new Error("fromWire threw");
  expect(verdictOn(new RunFailure("invalid", "text", cause)).error).toBe(cause);
});

test("errors that are not worth it are never tried again", () => {
  class Declined extends Error {}
  class OldDeclined extends Error {}
  expect(verdictOn(new NonRetryableError("no")).again).toBe("never");
  expect(verdictOn(new Declined(), [OldDeclined, Declined]).again).toBe("never");
  expect(verdictOn(new OldDeclined(), [Declined]).again).toBe("at-once");
  expect(verdictOn("any error", [Error]).again).toBe("at-once");
  expect(verdictOn(new Declined(), [Error]).again).toBe("never");
});

test("functions of giveUpOn are told from classes of errors, however they are written", () => {
  const yes: RetrySettings["giveUpOn"][number][] = [
    () => true,
    function named() {
      return true;
    },
    (error) => (error as { readonly status: number }).status === 404,
  ];
  for (const entry of yes) expect(verdictOn({ status: 404 }, [entry]).again).toBe("never");
  expect(verdictOn({ status: 500 }, [(error) => (error as { readonly status: number }).status === 404]).again).toBe("at-once");
});
