/** `retryable`: the same call may succeed later without any change. */
export type ErrorCode =
  | "configuration" // wrong option, missing package, impossible combination: at start
  | "unsupported" // the transport cannot do it: at start
  | "topology" // missing, different, or no right to create it
  | "invalid-message"
  | "too-large"
  | "unroutable"
  | "unavailable" // not connected, blocked, overloaded
  | "timeout"
  | "refused" // the broker said no
  | "run-ended" // the consumer it was published in has failed or timed out
  | "stopped";
