import type { FailureReason } from "../contracts/dead-letters.js";

/** The run does not count and the delivery goes back: the bus stops, or the delivery is somebody else's by now. */
export class Abandoned extends Error {}

/** Another run of the same message is under way: look again later, at no cost of an attempt. */
export class BusyElsewhere extends Error {
  readonly againInMs: number;
  constructor(againInMs: number) {
    super();
    this.againInMs = againInMs;
  }
}

/** The store undid the run, or took its claim, for a reason of its own: again, at no cost of an attempt. */
export class RunAgain extends Error {}

/** A run that failed, or never began, for another reason than the consumer's throwing. */
export class RunFailure extends Error {
  override readonly name = "RunFailure";
  readonly reason: FailureReason;
  constructor(reason: FailureReason, text: string, cause?: unknown) {
    super(text, { cause });
    this.reason = reason;
  }
}
