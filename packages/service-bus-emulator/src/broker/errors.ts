import { BrokerError } from "./broker-error.js";

/** The refusals of Azure Service Bus, each with the condition that its SDKs know. */
export const errors = {
  notFound: (path: string): BrokerError => new BrokerError("amqp:not-found", `The messaging entity '${path}' could not be found.`),

  messageLockLost: (): BrokerError =>
    new BrokerError(
      "com.microsoft:message-lock-lost",
      "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.",
    ),

  sessionLockLost: (sessionId: string | undefined): BrokerError =>
    new BrokerError(
      "com.microsoft:session-lock-lost",
      `The session lock${sessionId === undefined ? "" : ` of the session '${sessionId}'`} has expired. Accept the session again.`,
    ),

  sessionTaken: (sessionId: string): BrokerError =>
    new BrokerError(
      "com.microsoft:session-cannot-be-locked",
      `The requested session '${sessionId}' cannot be accepted. It may be locked by another receiver.`,
    ),

  timeout: (): BrokerError =>
    new BrokerError("com.microsoft:timeout", "The operation did not complete within the allotted timeout: no session was available."),

  sessionsRequired: (path: string): BrokerError =>
    new BrokerError(
      "amqp:not-allowed",
      `It is not possible for an entity that requires sessions to create a non-sessionful message receiver. Entity: '${path}'.`,
    ),

  noSessions: (path: string): BrokerError =>
    new BrokerError(
      "amqp:not-allowed",
      `A sessionful message receiver cannot be created on an entity that does not require sessions ('${path}'). Ensure RequiresSession is set to true when creating a Queue or Subscription to enable sessionful behavior.`,
    ),

  sessionIdMissing: (path: string): BrokerError =>
    new BrokerError(
      "amqp:not-allowed",
      `The SessionId was not set on a message, and it cannot be sent to the entity '${path}'. Entities that have session support enabled can only receive messages that have the SessionId set to a valid value.`,
    ),

  forwarded: (path: string): BrokerError =>
    new BrokerError("amqp:not-allowed", `Can not create a message receiver on the entity '${path}' because auto-forwarding is enabled.`),

  disabled: (path: string, what: string): BrokerError =>
    new BrokerError("com.microsoft:entity-disabled", `The messaging entity '${path}' is currently disabled for ${what}.`),

  full: (path: string, megabytes: number): BrokerError =>
    new BrokerError(
      "amqp:resource-limit-exceeded",
      `The maximum entity size has been reached or exceeded for '${path}' (${megabytes} MB). Receive messages, or raise MaxSizeInMegabytes.`,
    ),

  busy: (): BrokerError =>
    new BrokerError(
      "com.microsoft:server-busy",
      "The request was terminated because the namespace is being throttled. Please wait and try again.",
    ),

  messageNotFound: (sequenceNumbers: readonly bigint[]): BrokerError =>
    new BrokerError(
      "com.microsoft:message-not-found",
      `Failed to find one or more specified messages (sequence numbers ${sequenceNumbers.slice(0, 5).join(", ")}).`,
    ),

  deadLetterOfDeadLetter: (path: string): BrokerError =>
    new BrokerError("amqp:not-allowed", `A message of the dead-letter queue '${path}' cannot be dead-lettered again. Complete it instead.`),

  /** The first sentence is what Java's client knows the condition by: without it, it tries again. */
  deleted: (path: string): BrokerError =>
    new BrokerError("amqp:not-found", `The messaging entity '${path}' could not be found. It was deleted.`),

  exists: (path: string): BrokerError =>
    new BrokerError("com.microsoft:entity-already-exists", `The messaging entity '${path}' already exists.`),

  invalid: (text: string): BrokerError => new BrokerError("amqp:invalid-field", text),
};
