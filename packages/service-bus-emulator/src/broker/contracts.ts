import type { AmqpValue } from "../amqp/values.js";
import type { BrokerError } from "./broker-error.js";

/**
 * What the protocol (src/service-bus/) asks of the broker. Every call is synchronous and throws a {@link BrokerError} when it is refused;
 * with a data folder the caller answers its client only after {@link Namespace.kept} says that the effect is written.
 */

/** A message as a client sent it. The broker copies `bare`, which may be a view of more. */
export interface IncomingMessage {
  /** `undefined` when the header does not say. */
  readonly durable: boolean | undefined;
  /** 0 to 255; `undefined` when the header does not say. */
  readonly priority: number | undefined;
  /** Header `ttl`, milliseconds; `undefined` when there is none. */
  readonly timeToLive: number | undefined;
  /** What the client put into message-annotations; `undefined` when nothing. */
  readonly annotations: ReadonlyMap<string, AmqpValue> | undefined;
  /** What it put into delivery-annotations, which the service passes on. */
  readonly deliveryAnnotations?: ReadonlyMap<string, AmqpValue> | undefined;
  /** The encoded sections properties, application-properties, body and footer, in this order, byte for byte. */
  readonly bare: Buffer;
}

/** 0 active, 1 deferred, 2 scheduled: the values of the annotation x-opt-message-state. */
export type MessageState = 0 | 1 | 2;

/** A message in a queue. What a receiver is sent is the header and the annotations made of these fields, then `bare`. */
export interface StoredMessage extends IncomingMessage {
  readonly sequenceNumber: bigint;
  /** Where the message first entered (differs after forwarding, scheduling or dead-lettering). */
  readonly enqueuedSequenceNumber: bigint;
  /** How many entities forwarded it here. */
  readonly hops: number;
  /** Epoch milliseconds. */
  readonly enqueuedTime: number;
  /** Header delivery-count: how often it was delivered before without being settled. 0 on the first receipt. */
  readonly deliveryCount: number;
  readonly state: MessageState;
  /** Path of the entity whose dead-letter queue it went to (x-opt-deadletter-source), only in a queue that dead letters were forwarded to. */
  readonly deadLetterSource: string | undefined;
  /** x-opt-scheduled-enqueue-time as epoch milliseconds; `undefined` when it was never scheduled. */
  readonly scheduledEnqueueTime: number | undefined;
  /** The group-id of the properties. */
  readonly sessionId: string | undefined;
}

/** One delivery of a message. */
export interface Delivery {
  readonly message: StoredMessage;
  /**
   * 16 bytes, the UUID in its usual (RFC 4122) order; the delivery tag on the wire holds it in the order of .NET's Guid.
   * In receive-and-delete mode random bytes that lock nothing.
   */
  readonly lockToken: Buffer;
  /** Epoch milliseconds; `undefined` in receive-and-delete mode. */
  readonly lockedUntil: number | undefined;
}

export type ReceiveMode = "peek-lock" | "receive-and-delete";

export interface ReceiverOptions {
  readonly mode: ReceiveMode;
  /** Called synchronously, from {@link Receiver.setCredit} or from whatever makes a message available. It must not throw. */
  readonly onDelivery: (delivery: Delivery) => void;
  /** The broker ended the receiver (entity deleted or disabled, lock of the session lost): detach the link with this error. */
  readonly onEnd: (error: BrokerError) => void;
}

/** A link that receives. */
export interface Receiver {
  /** The session that it holds; `undefined` on an entity without sessions. */
  readonly session: { readonly id: string; readonly lockedUntil: number } | undefined;
  /**
   * How many more deliveries may come. Each delivery takes one. What is available is delivered before this returns; so a drain is
   * `setCredit(n)`, then `setCredit(0)`.
   */
  setCredit(credit: number): void;
  readonly credit: number;
  /**
   * The link is gone. Messages locked by it stay locked until their locks expire; a session is given back at once and its
   * messages with it (their delivery count stays as it was).
   */
  close(): void;
}

/** A wait for a session. */
export interface SessionRequest {
  /** Settles once: with the receiver, or with a BrokerError ("com.microsoft:timeout", "com.microsoft:session-cannot-be-locked", ...). */
  readonly receiver: Promise<Receiver>;
  /** The client went away: the wait ends and, if it was too late, the session is given back. */
  cancel(): void;
}

/** Changes to application properties that come with abandon, defer and dead-letter. */
export type PropertiesToModify = ReadonlyMap<string, AmqpValue>;

/** How a locked message is settled. */
export type Outcome =
  | { readonly kind: "complete" }
  /** Back to its place as if it had not been delivered: the delivery is not counted. */
  | { readonly kind: "release" }
  | { readonly kind: "abandon"; readonly properties?: PropertiesToModify | undefined }
  | { readonly kind: "defer"; readonly properties?: PropertiesToModify | undefined }
  | {
      readonly kind: "dead-letter";
      readonly reason: string | undefined;
      readonly description: string | undefined;
      readonly properties?: PropertiesToModify | undefined;
    };

/** What every address that a link can attach to has. */
export interface Entity {
  /** As it was created, e.g. "orders", "events/Subscriptions/audit", "orders/$DeadLetterQueue". */
  readonly path: string;
  readonly kind: "queue" | "topic" | "subscription" | "dead-letter-queue" | "transfer-dead-letter-queue";
  /** Bytes of one message (or batch) that a link takes. */
  readonly maxMessageSize: number;
}

/** What can be sent to: a queue or a topic. */
export interface Sendable extends Entity {
  readonly kind: "queue" | "topic";
  /**
   * A link that sends. `onEnd` is called once when the entity is deleted: what the link sends is refused from then on.
   * Returns what to call when the link has gone.
   */
  openSender(onEnd: (error: BrokerError) => void): () => void;
  /**
   * Takes the messages of one transfer, all or none.
   * @throws BrokerError when it is deleted, disabled, full, throttled, or a message has no session id where one is required.
   */
  send(messages: readonly IncomingMessage[]): void;
  /**
   * Messages with the annotation x-opt-scheduled-enqueue-time; returns their sequence numbers.
   * @throws BrokerError as `send`; "amqp:invalid-field" when the annotation is missing.
   */
  schedule(messages: readonly IncomingMessage[]): bigint[];
  /** @throws BrokerError "com.microsoft:message-not-found" when one of them is not scheduled (the others are not cancelled either). */
  cancelScheduled(sequenceNumbers: readonly bigint[]): void;
  /** Scheduled messages of a topic, all messages of a queue: see {@link Receivable.peek}. */
  peek(fromSequenceNumber: bigint, count: number, sessionId?: string): StoredMessage[];
}

/** What can be received from: a queue, a subscription, or one of their dead-letter queues. */
export interface Receivable extends Entity {
  readonly kind: "queue" | "subscription" | "dead-letter-queue" | "transfer-dead-letter-queue";
  readonly requiresSession: boolean;

  /** @throws BrokerError "amqp:not-allowed" where sessions are required or messages are forwarded; "com.microsoft:entity-disabled". */
  openReceiver(options: ReceiverOptions): Receiver;

  /**
   * A receiver of one session. `sessionId` `undefined` asks for the next free session that has messages and waits for one at most
   * `timeoutMilliseconds` ("com.microsoft:timeout" then); a given one that another receiver holds is refused at once
   * ("com.microsoft:session-cannot-be-locked").
   */
  openSession(options: ReceiverOptions & { readonly sessionId: string | undefined; readonly timeoutMilliseconds: number }): SessionRequest;

  /**
   * Settles one locked message.
   * @throws BrokerError "com.microsoft:message-lock-lost" or "com.microsoft:session-lock-lost".
   */
  settle(lockToken: Buffer, outcome: Outcome): void;

  /** All or none; returns the new ends of the locks, epoch milliseconds. @throws BrokerError "com.microsoft:message-lock-lost". */
  renewLocks(lockTokens: readonly Buffer[]): number[];

  /** Messages of any state from a sequence number on, in order, at most `count`; locks nothing. An empty array when there are none. */
  peek(fromSequenceNumber: bigint, count: number, sessionId?: string): StoredMessage[];

  /**
   * Deferred messages, locked (or, in receive-and-delete mode, removed).
   * @throws BrokerError "com.microsoft:message-not-found" when one of them is not deferred here.
   */
  receiveDeferred(sequenceNumbers: readonly bigint[], mode: ReceiveMode, sessionId?: string): Delivery[];

  /** Deletes at most `count` active messages that were enqueued before a time (epoch milliseconds), oldest first; returns how many. */
  deleteMessages(count: number, enqueuedBefore: number, sessionId?: string): number;

  /** New end of the lock, epoch milliseconds. @throws BrokerError "com.microsoft:session-lock-lost" when nobody holds the session. */
  renewSessionLock(sessionId: string): number;
  /** `undefined` when none was set. @throws BrokerError as `renewSessionLock`. */
  getSessionState(sessionId: string): Buffer | undefined;
  /** `undefined` clears it. @throws BrokerError as `renewSessionLock`. */
  setSessionState(sessionId: string, state: Buffer | undefined): void;
  /**
   * Ids of sessions with messages or state, `top` from `skip` on, sorted. With `updatedAfter` (epoch milliseconds) those whose state was
   * set after it.
   */
  listSessions(updatedAfter: number | undefined, skip: number, top: number): string[];
}

/** A subscription's rules can be managed over AMQP by its receivers. */
export interface Subscription extends Receivable {
  readonly kind: "subscription";
  /** @throws BrokerError "com.microsoft:entity-already-exists"; "amqp:invalid-field" when the expression is wrong. */
  addRule(rule: RuleDescription): void;
  /** @throws BrokerError "amqp:not-found" when there is no such rule. */
  removeRule(name: string): void;
  listRules(skip: number, top: number): RuleDescription[];
}

export type RuleFilter =
  | { readonly kind: "true" }
  | { readonly kind: "false" }
  | { readonly kind: "sql"; readonly expression: string; readonly parameters?: ReadonlyMap<string, AmqpValue> | undefined }
  | { readonly kind: "correlation"; readonly correlation: CorrelationFilter };

export interface CorrelationFilter {
  readonly correlationId?: string | undefined;
  readonly messageId?: string | undefined;
  readonly to?: string | undefined;
  readonly replyTo?: string | undefined;
  /** The subject. */
  readonly label?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly replyToSessionId?: string | undefined;
  readonly contentType?: string | undefined;
  readonly properties?: ReadonlyMap<string, AmqpValue> | undefined;
}

/** An action in the SQL language; `undefined` action: none. */
export interface RuleAction {
  readonly expression: string;
  readonly parameters?: ReadonlyMap<string, AmqpValue> | undefined;
}

export interface RuleDescription {
  readonly name: string;
  readonly filter: RuleFilter;
  readonly action: RuleAction | undefined;
  /** Epoch milliseconds; the broker sets it when it is left out. */
  readonly createdAt?: number | undefined;
}

/** The entities of one Service Bus namespace. */
export interface Namespace {
  /**
   * The entity at an address, as the SDKs write it: "queue", "topic", "topic/Subscriptions/name", each of the receivable ones with
   * "/$DeadLetterQueue" or "/$Transfer/$DeadLetterQueue"; letter case, a leading slash and "amqp[s]://host/" or "sb://host/" do not matter.
   * Not "/$management": the protocol takes it off. `undefined` when there is none.
   */
  find(address: string): Sendable | Receivable | Subscription | undefined;

  /** `undefined` when everything is written already (always so without a data folder); else settles when all that was done so far is. */
  kept(): Promise<void> | undefined;
}

/** A right that a key gives. "Manage" includes the others. */
export type Right = "Listen" | "Send" | "Manage";

/** What a token allows. */
export interface Grant {
  /** The entity that it is for, without a leading slash, lower case; "" for the whole namespace. */
  readonly audience: string;
  readonly rights: ReadonlySet<Right>;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Checks the tokens of clients: at $cbs and on the administration API. */
export interface Authorizer {
  /**
   * @param token a shared access signature ("SharedAccessSignature sr=...&sig=...&se=...&skn=...").
   * @param audience what the client asks to use, e.g. "sb://localhost/orders" or "amqp://localhost:5672/orders/$management".
   * @throws BrokerError "amqp:unauthorized-access" when the signature is wrong, expired or for another audience (answer 401),
   *   "amqp:not-found" when the entity of the audience does not exist (answer 404).
   */
  authorize(token: string, audience: string): Grant;
}

/** What the protocol's server offers to whoever starts it (src/service-bus/server.ts exports the function `startProtocol`). */
export interface ProtocolServer {
  readonly port: number;
  /** Open connections now. */
  readonly connections: number;
  /** Fault hook: every link but those of $cbs is detached with "amqp:link:detach-forced". */
  detachLinks(): void;
  /** Fault hook: every socket is destroyed, nothing is said before. */
  dropConnections(): void;
  /** Ends: connections are closed with "amqp:connection:forced", the port is free when it resolves. */
  stop(): Promise<void>;
}

export interface ProtocolOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly namespace: Namespace;
  readonly authorizer: Authorizer;
}

/** The shape of `startProtocol`. Rejects with the system's error (EADDRINUSE, ...). */
export type StartProtocol = (options: ProtocolOptions) => Promise<ProtocolServer>;
