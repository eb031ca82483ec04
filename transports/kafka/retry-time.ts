import type { FailureHeaders } from "../../src/contracts/transport.js";
import type { IncomingRecord } from "./driver.js";
import { copyOf, DUE_HEADER, type RecordToSend } from "./mapping.js";

/** By so much the clock of another instance may be ahead. */
const MAX_CLOCK_SKEW_MS = 60_000;

/** A copy of the record for a retry topic. */
export function retryCopyOf(record: IncomingRecord, topic: string, delayMs: number, failure: FailureHeaders): RecordToSend {
  const copy = copyOf(record, topic, failure);
  return { ...copy, headers: { ...copy.headers, [DUE_HEADER]: String(Date.now() + delayMs) } };
}

/**
 * When a record of a retry topic is due (`Date.now()`). Nobody but an endpoint writes there; what somebody wrote all the same does
 * not hold up the partition for longer than its delay.
 */
export function dueOf({ headers, timestamp }: IncomingRecord, delayMs: number): number {
  const header = headers[DUE_HEADER];
  const told = header === undefined ? Number.NaN : Number(String(header));
  const due = Number.isSafeInteger(told) ? told : timestamp + delayMs;
  return due <= Date.now() + 2 * delayMs + MAX_CLOCK_SKEW_MS ? due : 0;
}
