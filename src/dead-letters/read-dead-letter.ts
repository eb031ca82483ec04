import type { DeadLetter, FailureReason } from "../contracts/dead-letters.js";
import type { Delivery } from "../contracts/transport.js";
import { userHeaders } from "../pipeline/user-headers.js";
import { HEADER, readCount, readDate } from "../retry/failure-history.js";

const REASONS: ReadonlySet<string> = new Set<FailureReason>([
  "failed",
  "timed-out",
  "invalid",
  "undecodable",
  "no-consumer",
  "too-large",
  "crashed",
]);

/** What a dead letter tells of itself. Its headers may come from anybody: what makes no sense is left out. */
export function readDeadLetter(delivery: Delivery, endpoint: string): DeadLetter {
  const { body, headers, properties } = delivery;
  const reason = headers[HEADER.reason];
  return {
    messageId: properties.messageId ?? "",
    messageType: properties.messageType,
    body,
    headers: userHeaders(headers),
    failure: {
      reason: reason !== undefined && REASONS.has(reason) ? (reason as FailureReason) : "unknown",
      endpoint: headers[HEADER.endpoint] ?? endpoint,
      source: headers[HEADER.source],
      errorName: headers[HEADER.errorName],
      errorMessage: headers[HEADER.errorMessage],
      stack: headers[HEADER.errorStack],
      attempts: readCount(headers[HEADER.attempts]),
      firstFailedAt: readDate(headers[HEADER.firstFailedAt]),
      lastFailedAt: readDate(headers[HEADER.lastFailedAt]),
    },
  };
}
