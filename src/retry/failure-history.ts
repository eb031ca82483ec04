/** What happened to a message at this endpoint before. */
export interface FailureHistory {
  /** Runs that ended. */
  readonly attempts: number;
  /** Delayed retries so far: the next one is `delays[round]`. */
  readonly round: number;
  readonly firstFailedAt: Date | undefined;
}

/** The headers in which a copy carries its history and the latest failure. */
export const HEADER: Readonly<
  Record<
    | "attempts"
    | "round"
    | "reason"
    | "errorName"
    | "errorMessage"
    | "errorStack"
    | "endpoint"
    | "source"
    | "firstFailedAt"
    | "lastFailedAt",
    `tb-${string}`
  >
> = {
  attempts: "tb-attempts",
  round: "tb-round",
  reason: "tb-reason",
  errorName: "tb-error-name",
  errorMessage: "tb-error-message",
  errorStack: "tb-error-stack",
  endpoint: "tb-endpoint",
  source: "tb-source",
  firstFailedAt: "tb-first-failed-at",
  lastFailedAt: "tb-last-failed-at",
};

const NONE: FailureHistory = { attempts: 0, round: 0, firstFailedAt: undefined };

/** Reads the history that came with a message. Over the wire it can be anything: what makes no sense counts as nothing. */
export function readFailureHistory(headers: Readonly<Record<string, string>>): FailureHistory {
  const attempts = headers[HEADER.attempts];
  if (attempts === undefined) return NONE;
  return { attempts: readCount(attempts), round: readCount(headers[HEADER.round]), firstFailedAt: readDate(headers[HEADER.firstFailedAt]) };
}

/** A whole number of at most six digits, else 0. */
export function readCount(text: string | undefined): number {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : 0;
}

/** A date of the years 1970 to 9999 in the form that this project writes, else `undefined`. */
export function readDate(text: string | undefined): Date | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
