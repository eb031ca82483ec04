import type { FailureReason } from "../contracts/dead-letters.js";
import type { Logger } from "../contracts/logger.js";
import { NonRetryableError } from "../errors.js";
import type { RetrySettings } from "../options/endpoint-settings.js";
import { RunFailure } from "../pipeline/control.js";
import { describeError } from "./describe-error.js";

/** What a failed run leads to. */
export interface Verdict {
  readonly reason: FailureReason;
  readonly error: unknown;
  /** "never": straight to the dead letters. "later": only after a delay. "at-once": also in process. */
  readonly again: "never" | "later" | "at-once";
}

const AGAIN: Readonly<Record<FailureReason, Verdict["again"]>> = {
  failed: "at-once",
  "timed-out": "later",
  "no-consumer": "later",
  invalid: "never",
  undecodable: "never",
  "too-large": "never",
  crashed: "never",
};

/** Judges what a run threw by the retry policy. Total. */
export function classify(thrown: unknown, policy: RetrySettings, logger: Logger): Verdict {
  if (thrown instanceof RunFailure) return { reason: thrown.reason, error: thrown.cause ?? thrown, again: AGAIN[thrown.reason] };
  const again =
    thrown instanceof NonRetryableError || policy.giveUpOn.some((entry) => matches(entry, thrown, logger)) ? "never" : AGAIN.failed;
  return { reason: "failed", error: thrown, again };
}

function matches(entry: RetrySettings["giveUpOn"][number], thrown: unknown, logger: Logger): boolean {
  if (isErrorClass(entry)) return thrown instanceof entry;
  try {
    return entry(thrown);
  } catch (error) {
    logger.error(`A function in retry.giveUpOn threw, so the message is retried: ${describeError(error).message}`);
    return false;
  }
}

function isErrorClass(entry: RetrySettings["giveUpOn"][number]): entry is abstract new (...args: never[]) => Error {
  return entry === Error || entry.prototype instanceof Error;
}
