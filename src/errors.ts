import type { ErrorCode } from "./contracts/error-code.js";
import type { SchemaIssue } from "./contracts/schema.js";

/** What every error of the bus carries beside its text. */
export interface TrolleybusErrorOptions {
  /** What was caught, or `undefined` when this error is the first. */
  readonly cause: unknown;
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean;
}

/**
 * The base of all errors of the bus. The text says what happened, why it matters and what to do; it never holds a secret.
 * `code` is a closed set to switch on; `retryable` says whether the same call may succeed later without any change.
 */
export class TrolleybusError extends Error {
  override readonly name: string = "TrolleybusError";
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, text: string, options: TrolleybusErrorOptions) {
    super(text, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable;
  }
}

/** A message that `publish` or `send` could not have confirmed. `outcome` and `messageId` say what to do about it. */
export class PublishError extends TrolleybusError {
  override readonly name: string = "PublishError";
  /** "refused": certainly not stored. "unknown": perhaps stored. */
  readonly outcome: "refused" | "unknown";
  /** Give it to the next try, so that a copy that did arrive is recognised. */
  readonly messageId: string;

  constructor(
    code: ErrorCode,
    text: string,
    options: TrolleybusErrorOptions & { readonly outcome: "refused" | "unknown"; readonly messageId: string },
  ) {
    super(code, text, options);
    this.outcome = options.outcome;
    this.messageId = options.messageId;
  }
}

/** A message that cannot be sent or read: no `messageType`, not JSON, not what its schema says. Never worth another try. */
export class InvalidMessageError extends TrolleybusError {
  override readonly name: string = "InvalidMessageError";
  /** What the schema found; empty when no schema was asked. */
  readonly issues: readonly SchemaIssue[];

  constructor(text: string, options: { readonly cause: unknown; readonly issues: readonly SchemaIssue[] }) {
    super("invalid-message", text, { cause: options.cause, retryable: false });
    this.issues = options.issues;
  }
}

/** Throw it, or a subclass, in a consumer: no retry is tried, the message goes straight to the dead-letter queue. */
export class NonRetryableError extends Error {
  override readonly name: string = "NonRetryableError";
}
