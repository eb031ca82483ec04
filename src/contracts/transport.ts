import type { Logger } from "./logger.js";

/**
 * The transport port: what an adapter gives to the core. All times are milliseconds.
 *
 * The division of work. The core decides **what** becomes of a delivery and when; the adapter knows **how** its broker does
 * it, and never answers the broker before the broker has taken what replaces the message. The core never sees a channel,
 * lock, offset or session; the adapter never sees a decoded message, a consumer or a retry policy.
 */
export interface Transport {
  /** For texts and metrics: "rabbitmq". */
  readonly name: string;
  readonly capabilities: TransportCapabilities;

  /**
   * For a transport object that may be given to several buses (memory): a new transport, not yet opened, to the same broker. The core calls it
   * once for each bus and uses only what it returns, so that every bus opens, receives and closes on its own. May be called at any time, also
   * while another is open or closed; connects nothing. Absent where an object serves one bus: a second `open` then rejects with "configuration".
   */
  share?(): Transport;

  /**
   * Where `capabilities.order` is "type": whether messages of these types are in order among each other all the same, for they share a topic.
   * May be called before `open`. Absent: they never are.
   */
  ordersTogether?(messageTypes: readonly string[]): boolean;

  /**
   * Connects, for publishing. Rejects when that cannot succeed (bad credentials, no such host name, wrong version), else keeps trying
   * until `signal` aborts. Afterwards the adapter repairs connections, channels and links by itself, for ever, with backoff and jitter.
   */
  open(host: TransportHost, signal: AbortSignal): Promise<void>;

  /**
   * Makes (`create`) or compares (`verify`) what the plan names; idempotent, and safe against another instance doing the same.
   * Never alters or deletes what is there, except the subscriptions in `unsubscribed`. Called again, with less, before the first
   * message of an unknown type. @throws TransportError "topology" naming every difference, or the right that is missing.
   */
  provision(plan: TopologyPlan, mode: "create" | "verify"): Promise<void>;

  /**
   * Hands messages to the broker; resolves with one result for each, in order, never rejects. "sent" is said only after the broker
   * has confirmed to have stored it. It does not retry: the core does, with the same ids, within the caller's time.
   * Messages of one `partitionKey` that are passed in one call, or in calls one after the other was resolved, keep their order.
   */
  send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]>;

  /** Starts to receive. Resolves when deliveries can arrive: from then on what is published is this endpoint's. */
  receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver>;

  /** After all receivers have stopped. Flushes, closes, never rejects, at most until `deadline` (a `performance.now()` time). */
  close(deadline: number): Promise<void>;
}

/** What the broker can do, as data. `open` may lower the numbers once it knows the server. */
export interface TransportCapabilities {
  /** Survives the end of this process. Memory: false. */
  readonly durable: boolean;
  /**
   * Strongest order by key over all instances of an endpoint. "none": `order: "key"` fails at start. "type": only among messages of one
   * type (or of types that share a topic), so that `order: "key"` on an endpoint of several types fails at start. "endpoint": among all.
   */
  readonly order: "none" | "type" | "endpoint";
  /**
   * false: the broker knows a contiguous prefix only (Kafka). The adapter then keeps elsewhere what was completed beyond it (Kafka: in the
   * metadata of the commit), so that one slow message does not stop its neighbours, and counts what is completed but not yet
   * committed towards `prefetch`, so that P2's bound holds.
   */
  readonly settlesIndividually: boolean;
  /**
   * true: each instance of an endpoint has a share of its partitions, and what waits in the share of a busy one waits for it (Kafka).
   * @default false: whichever instance is free takes the next message
   */
  readonly partitioned?: boolean;
  /** Whether `Delivery.suspicion` survives the end of the process. Memory: false. */
  readonly countsStarts: boolean;
  /** "time": a message that nobody handled is deleted when its retention is over (Kafka). P1 holds within it. */
  readonly keeps: "until-settled" | "time";
  /**
   * Longest that a delivery may stay unsettled; `Infinity` when the adapter renews. `handlerTimeout` must be below half of it, checked at
   * start. With `order: "key"` waiting lanes hold deliveries too: the adapter gives all of them back, in order and without raising
   * suspicion, before the oldest reaches it.
   */
  readonly maxHoldMs: number;
  /** Largest body with its headers that can still be retried and dead-lettered: the broker's limit less the room for a failure. */
  readonly maxMessageBytes: number;
  /** Longest name of an endpoint and of a message type. */
  readonly maxNameLength: number;
}

/** What the adapter may ask of the core. None of these throws. */
export interface TransportHost {
  readonly service: string;
  /** Plans and messages carry the user's names; the adapter puts this before them, in its `mapping`. */
  readonly namePrefix: string;
  readonly logger: Logger;
  /** "up" / "degraded" / "down", with a reason for people. Publishing and each receiver report on their own. */
  status(part: { readonly publisher: true } | { readonly endpoint: string }, status: "up" | "degraded" | "down", reason?: string): void;
  /** How much waits in the broker; where the transport knows it, at least every 30 s. */
  lag(endpoint: string, messages: number): void;
}
export interface TopologyPlan {
  /** Types that are published, whether or not anyone listens. */
  readonly events: readonly string[];
  readonly endpoints: readonly EndpointPlan[];
}
export interface EndpointPlan {
  readonly name: string;
  readonly subscribed: readonly string[];
  readonly unsubscribed: readonly string[];
  /**
   * Every delay with which `retry` will be called. Where each is a queue or a topic it is named `<endpoint>.retry.<delay>`, the delay in
   * the largest unit that divides it ("90s", "1m", never "60s"). Those of earlier delays are still emptied: only names that match
   * that form exactly, so that no other endpoint's are taken.
   */
  readonly retryDelaysMs: readonly number[];
  readonly order: "key" | "none";
}

/** Bytes in, bytes out. Nothing here changes after the call. */
export interface OutgoingMessage {
  readonly to: { readonly event: string } | { readonly endpoint: string };
  readonly body: Uint8Array;
  readonly properties: NativeProperties;
  /** The user's headers, as the broker's own. Text; the names are known to fit every broker. A replayed message has those that it came with, less `tb-`. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The endpoint of whose handler's run it is a part, by the user's name. That run's message is settled only after this one is stored: a broker that bounds its
   * own queues may have to take it where it refuses others, for room may never come as long as it waits.
   */
  readonly publishedBy?: string | undefined;
  /** Of a replay: the dead letter, one of this transport's deliveries, from which the adapter also copies what has no field here. */
  readonly replayOf?: Delivery;
}
/** Copied to the broker's own fields, for operators. The envelope in the body is the truth. */
export interface NativeProperties {
  readonly messageId: string;
  readonly messageType: string;
  readonly contentType: string;
  readonly correlationId: string;
  readonly partitionKey: string | undefined;
}
export type SendResult =
  | { readonly outcome: "sent" }
  /** Certainly not stored. */
  | { readonly outcome: "refused"; readonly error: TransportError }
  /** Perhaps stored: the connection went, or nothing was heard, after it had been handed over. */
  | { readonly outcome: "unknown"; readonly error: TransportError };

export interface ReceiveSource {
  readonly endpoint: EndpointPlan;
  /** "dead-letter": what was given up on, wherever the broker keeps it (also transfer dead letters of Service Bus). */
  readonly from: "endpoint" | "dead-letter";
  /** Most deliveries unsettled at one time. The only back-pressure there is: the core does not say pause. */
  readonly prefetch: number;
}
/** Called synchronously, in the broker's order. Does not throw. */
export interface DeliverySink {
  deliver(delivery: Delivery): void;
  /**
   * Only for `from: "dead-letter"`, once: all that was there when `receive` was called has been delivered. The adapter takes the measure
   * then (message count, end offsets, sequence number) and delivers nothing beyond it, so that what is kept or fails anew is not met twice.
   */
  exhausted(): void;
}
export interface Receiver {
  /**
   * No delivery arrives after the call; resolves when what had arrived but was not taken is on its way back. Deliveries stay
   * settleable until `close`. A second call returns the same promise.
   */
  stop(): Promise<void>;
  /** Flushes settlements, gives back what is unsettled, and goes. Never rejects. */
  close(deadline: number): Promise<void>;
}

/**
 * One arrival of one message at one endpoint. Exactly one of the four verbs is called, once; a second call is a bug and throws.
 * When the delivery is lost first (channel, lock or assignment gone), `lost` aborts, and the verb does nothing and returns "lost":
 * somebody else has the message now.
 */
export interface Delivery {
  readonly body: Uint8Array;
  /** What of the native properties was there: the sender may be anybody. */
  readonly properties: Partial<NativeProperties>;
  /** As they came, made text. Untrusted. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where it was: queue, or topic/partition@offset. For people. */
  readonly source: string;
  /**
   * Whether this message may have killed the process that ran it. The adapter judges, from what its broker keeps (RabbitMQ and Service Bus: the
   * delivery count, less the losses of the connection that this process lived through, of sessions what is noted in their state; Kafka: start counts
   * in the commit's metadata).
   * "careful": the core runs it alone, with no other handler of the process running, and the adapter holds no other delivery of the
   * endpoint meanwhile, for whatever is held when the process dies becomes suspect too. So suspects are moved, without a run, to a queue of
   * their own (`<endpoint>.suspect`) that is read with a prefetch of 1; with `order: "key"`, where they must stay in place and one consumer is
   * active, a receiver starts with a prefetch of 1 and widens after the first delivery that is not suspect.
   * "crashed": dead-lettered with that reason, without a run.
   */
  readonly suspicion: "none" | "careful" | "crashed";
  /** Aborts when the delivery is lost. Made when it is first read. */
  readonly lost: AbortSignal;
  /** Whether the delivery is lost, without making the signal: looked at before every run that had to wait. */
  readonly isLost: boolean;

  /**
   * A run of a "careful" delivery has failed, the process lives, and the delivery will be run again: it did not kill, so it need not be alone from
   * now on. Absent where each retry is another delivery.
   */
  survived?(): void;

  /** Done. Batched; what comes of it is not reported but for "lost". */
  complete(): "settled" | "lost";
  /**
   * Again after `delayMs`, one of the plan's. The copy carries body and headers untouched plus `failure`. Resolves after the broker has
   * stored the copy and the original is answered. Rejects when it was not stored: the delivery is then still held and may be tried again; after
   * "too-large" the core dead-letters it instead.
   * With the endpoint's `order: "key"` the core waits by itself and this is not called.
   */
  retry(delayMs: number, failure: FailureHeaders): Promise<"settled" | "lost">;
  /** Given up. Like `retry`, to the endpoint's dead letters. When the details do not fit they are left out, never the body. */
  deadLetter(failure: FailureHeaders): Promise<"settled" | "lost">;
  /**
   * Back to where it was, uncounted. From an endpoint: only when stopping; in trouble of our own the core keeps the delivery and waits. From
   * the dead letters: the letter is kept. Where only a prefix can be settled the adapter first appends a copy, confirmed; where the broker counts
   * deliveries its limit must not bite there.
   */
  release(): Promise<"settled" | "lost">;
}
/** Native headers, prefix `tb-`, at most 8 KiB together. */
export type FailureHeaders = Readonly<Record<`tb-${string}`, string>>;

export interface TransportError extends Error {
  readonly code: "configuration" | "topology" | "unroutable" | "too-large" | "refused" | "unavailable" | "timeout";
  readonly retryable: boolean;
}
