/**
 * Why a message was given up on. "failed": its consumer threw at every attempt, or said that no other is worth it. "timed-out": the last run
 * took longer than `handlerTimeout`. "invalid": not what its schema or `fromWire` takes. "undecodable": no envelope of a known format.
 * "no-consumer": of a type that nobody subscribed here. "too-large": above `maxMessageBytes`. "crashed": it ended the process at every attempt.
 */
export type FailureReason = "failed" | "timed-out" | "invalid" | "undecodable" | "no-consumer" | "too-large" | "crashed";

/** A message that was given up on, and why. */
export interface DeadLetter {
  readonly messageId: string;
  readonly messageType: string | undefined;
  /** The bytes as they came. */
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly failure: {
    /** "unknown": the broker or somebody else put it there; what the broker says is in `errorMessage`. */
    readonly reason: FailureReason | "unknown";
    readonly endpoint: string;
    /** Where it was before: queue, or topic/partition@offset. */
    readonly source: string | undefined;
    readonly errorName: string | undefined;
    readonly errorMessage: string | undefined;
    readonly stack: string | undefined;
    readonly attempts: number;
    readonly firstFailedAt: Date | undefined;
    readonly lastFailedAt: Date | undefined;
  };
}

/** What an endpoint has given up on. */
export interface DeadLetters {
  /**
   * What was there when the call began, each letter once, oldest first. "replay" puts it back at this endpoint alone (not at the
   * others that got the event), with its body, headers and id, and no attempts; "drop" deletes it; "keep" leaves it. When `decide`
   * throws, that letter and the rest are kept and the call rejects. An interrupted call may leave a letter both replayed and kept.
   */
  process(
    decide: (letter: DeadLetter) => "replay" | "drop" | "keep" | Promise<"replay" | "drop" | "keep">,
    options?: { readonly limit?: number },
  ): Promise<{ readonly replayed: number; readonly dropped: number; readonly kept: number }>;
}
