import type { FailureReason } from "../contracts/dead-letters.js";
import type { FailureHeaders } from "../contracts/transport.js";
import { cutToBytes } from "../util/cut-to-bytes.js";
import { describeError } from "./describe-error.js";
import { type FailureHistory, HEADER } from "./failure-history.js";

/** Message and stack together, so that a failure always fits the headers of every broker. */
const MAX_DETAIL_BYTES = 4096;
const MAX_NAME_BYTES = 200;

/** What a retry copy or a dead letter tells about the failure. Total: it does not throw, whatever was thrown. */
export function failureHeaders(failure: {
  readonly reason: FailureReason;
  readonly error: unknown;
  readonly history: FailureHistory;
  readonly endpoint: string;
  readonly source: string;
  readonly now: Date;
}): FailureHeaders {
  const { name, message, stack } = describeError(failure.error);
  const now = failure.now.toISOString();
  const told = cutToBytes(message, MAX_DETAIL_BYTES);
  const headers: Record<`tb-${string}`, string> = {
    [HEADER.reason]: failure.reason,
    [HEADER.errorName]: cutToBytes(name, MAX_NAME_BYTES),
    [HEADER.errorMessage]: told,
    [HEADER.attempts]: String(failure.history.attempts),
    [HEADER.round]: String(failure.history.round),
    [HEADER.endpoint]: failure.endpoint,
    [HEADER.source]: cutToBytes(failure.source, MAX_NAME_BYTES),
    [HEADER.firstFailedAt]: failure.history.firstFailedAt?.toISOString() ?? now,
    [HEADER.lastFailedAt]: now,
  };
  const left = MAX_DETAIL_BYTES - Buffer.byteLength(told);
  if (stack && left > 0) headers[HEADER.errorStack] = cutToBytes(stack, left);
  return headers;
}
