import type { AmqpValue } from "../amqp/values.js";
import type { IncomingMessage, MessageState, StoredMessage } from "./contracts.js";

/** Where a message stands in its queue. "gone": no longer in it; what still refers to it skips it. */
export type Place = "ready" | "locked" | "deferred" | "scheduled" | "gone";

/** What a message is made of when it enters a queue. */
export interface MessageContent extends IncomingMessage {
  readonly sessionId: string | undefined;
  readonly deadLetterSource?: string | undefined;
  readonly scheduledEnqueueTime?: number | undefined;
  /** How many entities forwarded it so far. */
  readonly hops: number;
}

const EMPTY = Buffer.alloc(0);

/** A message in a queue; the queue changes it as it goes from state to state. */
export class QueuedMessage implements StoredMessage {
  readonly sequence: number;
  readonly enqueuedSequence: number;
  readonly enqueuedTime: number;
  readonly durable: boolean | undefined;
  readonly priority: number | undefined;
  readonly timeToLive: number | undefined;
  readonly annotations: ReadonlyMap<string, AmqpValue> | undefined;
  readonly deliveryAnnotations: ReadonlyMap<string, AmqpValue> | undefined;
  readonly sessionId: string | undefined;
  readonly deadLetterSource: string | undefined;
  readonly scheduledEnqueueTime: number | undefined;
  readonly hops: number;
  /** Whether a time to live is observed. */
  readonly expires: boolean;
  /** Where {@link bare} is. A Buffer of its own, kept for each message, would be a third of what a waiting message costs the collector of garbage. */
  #memory: ArrayBufferLike;
  #start: number;
  #length: number;
  deliveryCount = 0;
  place: Place = "ready";
  state: MessageState = 0;

  constructor(
    content: MessageContent,
    position: { readonly sequence: number; readonly enqueuedSequence: number; readonly enqueuedTime: number; readonly expires: boolean },
  ) {
    this.sequence = position.sequence;
    this.enqueuedSequence = position.enqueuedSequence;
    this.enqueuedTime = position.enqueuedTime;
    this.durable = content.durable;
    this.priority = content.priority;
    this.timeToLive = content.timeToLive;
    this.annotations = content.annotations;
    this.deliveryAnnotations = content.deliveryAnnotations;
    this.sessionId = content.sessionId;
    this.deadLetterSource = content.deadLetterSource;
    this.scheduledEnqueueTime = content.scheduledEnqueueTime;
    this.hops = content.hops;
    this.expires = position.expires;
    this.#memory = content.bare.buffer;
    this.#start = content.bare.byteOffset;
    this.#length = content.bare.length;
  }

  /** The sections of the sender. */
  get bare(): Buffer {
    return Buffer.from(this.#memory, this.#start, this.#length);
  }

  set bare(bytes: Buffer) {
    this.#memory = bytes.buffer;
    this.#start = bytes.byteOffset;
    this.#length = bytes.length;
  }

  /** Epoch milliseconds; infinite where no time to live is observed. */
  get expiresAt(): number {
    return this.expires && this.timeToLive !== undefined ? this.enqueuedTime + this.timeToLive : Number.POSITIVE_INFINITY;
  }

  get sequenceNumber(): bigint {
    return BigInt(this.sequence);
  }

  get enqueuedSequenceNumber(): bigint {
    return BigInt(this.enqueuedSequence);
  }

  /** Bytes that count for the size of the entity. */
  get size(): number {
    return this.#length;
  }

  /** The same message, in no queue. */
  copy(): QueuedMessage {
    const copy = new QueuedMessage(this, this);
    copy.deliveryCount = this.deliveryCount;
    copy.place = this.place;
    copy.state = this.state;
    return copy;
  }

  /** Takes it out of its queue; the body is let go at once although structures may still refer to the message. */
  discard(): void {
    this.place = "gone";
    this.bare = EMPTY;
  }
}

/** The content of a message without its place in a queue. */
export function contentOf(message: MessageContent): MessageContent {
  return {
    durable: message.durable,
    priority: message.priority,
    timeToLive: message.timeToLive,
    annotations: message.annotations,
    deliveryAnnotations: message.deliveryAnnotations,
    bare: message.bare,
    sessionId: message.sessionId,
    deadLetterSource: message.deadLetterSource,
    scheduledEnqueueTime: message.scheduledEnqueueTime,
    hops: message.hops,
  };
}
