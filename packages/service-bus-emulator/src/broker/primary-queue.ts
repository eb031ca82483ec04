import type { AmqpValue } from "../amqp/values.js";
import type { BrokerContext } from "./broker-context.js";
import { BrokerError } from "./broker-error.js";
import type { Outcome } from "./contracts.js";
import type { UndeliverableReason } from "./delivering-queue.js";
import { type EntityStatus, MAX_DURATION, type QueueDescription, type SubscriptionDescription } from "./descriptions.js";
import { errors } from "./errors.js";
import { IdleWatch } from "./idle-watch.js";
import { MessageQueue } from "./message-queue.js";
import { headerSize, withApplicationProperties } from "./message-sections.js";
import { contentOf, type QueuedMessage } from "./queued-message.js";
import { SubQueue } from "./sub-queue.js";

/** Forwards from entity to entity before a message is dead-lettered (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-auto-forwarding). */
const MAX_HOPS = 4;
/** Bytes before the body (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas). */
const MAX_HEADER_SIZE = 65_536;

/** Numbers that one entity takes for its queues: the queue itself, its dead letters, its transfer dead letters. */
export const IDS_PER_ENTITY = 3;

/** The queue of a queue or a subscription, with its two dead-letter queues. */
export abstract class PrimaryQueue<D extends QueueDescription | SubscriptionDescription> extends MessageQueue {
  readonly deadLetters: SubQueue;
  readonly transferDeadLetters: SubQueue;
  createdAt: number;
  updatedAt: number;
  protected readonly idle: IdleWatch;
  #description: D;

  constructor(id: number, path: string, description: D, context: BrokerContext) {
    super({ id, path, requiresSession: description.requiresSession }, context);
    const subQueue = (kind: SubQueue["kind"], offset: number, suffix: string): SubQueue =>
      new SubQueue(kind, { id: id + offset, path: `${path}/${suffix}`, requiresSession: false }, this, context);
    this.deadLetters = subQueue("dead-letter-queue", 1, "$DeadLetterQueue");
    this.transferDeadLetters = subQueue("transfer-dead-letter-queue", 2, "$Transfer/$DeadLetterQueue");
    this.#description = description;
    this.createdAt = this.updatedAt = context.timers.now();
    this.idle = new IdleWatch(
      context.timers,
      () => this.hasReceivers || this.deadLetters.hasReceivers || this.store.scheduledCount > 0 || this.forwards,
      () => context.deleteIdle(path),
    );
    this.idle.setLimit(description.autoDeleteOnIdle);
  }

  get description(): D {
    return this.#description;
  }

  /** When a client last used it, epoch milliseconds. */
  get accessedAt(): number | undefined {
    return this.idle.usedAt;
  }

  /** Sessions and duplicate detection cannot change: the caller has seen to that. */
  update(description: D): void {
    this.#description = description;
    this.updatedAt = this.context.timers.now();
    this.idle.setLimit(description.autoDeleteOnIdle);
    this.forwardReady();
    this.deadLetters.forwardReady();
    if (!receives(description.status)) this.detachReceivers(errors.disabled(this.path, "receives"));
    else if (this.forwards) this.detachReceivers(errors.forwarded(this.path));
  }

  get lockDuration(): number {
    return this.#description.lockDuration;
  }

  get forwardDeadLettersTo(): string | undefined {
    return this.#description.forwardDeadLetteredMessagesTo;
  }

  touch(): void {
    this.idle.touch();
  }

  override expireLocks(): void {
    super.expireLocks();
    this.deadLetters.expireLocks();
    this.transferDeadLetters.expireLocks();
  }

  /** What it and its dead letters hold, bytes. */
  get totalBytes(): number {
    return this.queues.reduce((sum, queue) => sum + queue.store.bytes, 0);
  }

  /** Its queues, each with its own number. */
  get queues(): readonly MessageQueue[] {
    return [this, this.deadLetters, this.transferDeadLetters];
  }

  override end(error: BrokerError): void {
    super.end(error);
    this.deadLetters.end(error);
    this.transferDeadLetters.end(error);
    this.idle.stop();
  }

  /** Puts a message into the dead-letter queue. */
  deadLetter(message: QueuedMessage, reason: string | undefined, description: string | undefined, into: SubQueue = this.deadLetters): void {
    const properties = new Map<string, AmqpValue>();
    if (reason !== undefined) properties.set("DeadLetterReason", reason);
    if (description !== undefined) properties.set("DeadLetterErrorDescription", description);
    const content = { ...contentOf(message), bare: withApplicationProperties(message.bare, properties) };
    into.enqueue(content, { enqueuedSequence: message.enqueuedSequence, deliveryCount: message.deliveryCount });
  }

  protected get maxDeliveryCount(): number {
    return this.#description.maxDeliveryCount;
  }

  protected get defaultTimeToLive(): number {
    return cap(this.#description.defaultMessageTimeToLive);
  }

  protected get expires(): boolean {
    return true;
  }

  protected get forwardTarget(): string | undefined {
    return this.#description.forwardTo;
  }

  /** What is disabled settles nothing; its messages come back when their locks end. */
  override settle(lockToken: Buffer, outcome: Outcome): void {
    this.assertEnabled();
    super.settle(lockToken, outcome);
  }

  /** @throws BrokerError when it is disabled for receivers. */
  protected assertEnabled(): void {
    if (!receives(this.#description.status)) throw errors.disabled(this.path, "receives");
  }

  protected assertReceivable(): void {
    this.assertEnabled();
    if (this.forwards) throw errors.forwarded(this.path);
  }

  protected forward(message: QueuedMessage, target: string): boolean {
    if (message.hops >= MAX_HOPS) {
      this.deadLetter(
        message,
        "MaxTransferHopCountExceeded",
        `The maximum number of allowed hops when forwarding between entities has been exceeded. This value is set to ${MAX_HOPS}.`,
      );
      return true;
    }
    try {
      this.context.forward(target, { ...contentOf(message), hops: message.hops + 1 }, message.enqueuedSequence);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.deadLetter(message, error.condition, error.message, this.transferDeadLetters);
    }
    return true;
  }

  protected undeliverable(message: QueuedMessage, reason: UndeliverableReason): void {
    switch (reason.kind) {
      case "expired":
        if (this.#description.deadLetteringOnMessageExpiration) {
          this.deadLetter(message, "TTLExpiredException", "The message expired and was dead lettered.");
        }
        break;
      case "max-delivery-count":
        this.deadLetter(
          message,
          "MaxDeliveryCountExceeded",
          `Message could not be consumed after ${this.maxDeliveryCount} delivery attempts.`,
        );
        break;
      case "client":
        this.deadLetter(message, reason.reason, reason.description);
    }
  }

  /** Whether a message's header is larger than Azure takes; such a message goes to the dead-letter queue. */
  protected refuseLargeHeader(message: QueuedMessage): boolean {
    if (message.size <= MAX_HEADER_SIZE || headerSize(message.bare) <= MAX_HEADER_SIZE) return false;
    this.deadLetter(message, "HeaderSizeExceeded", "The size quota for this stream has been exceeded.");
    return true;
  }
}

/** A duration of a description: infinite when it says never. */
export const cap = (milliseconds: number): number => (milliseconds >= MAX_DURATION ? Number.POSITIVE_INFINITY : milliseconds);

export const receives = (status: EntityStatus): boolean => status === "Active" || status === "SendDisabled";
export const sends = (status: EntityStatus): boolean => status === "Active" || status === "ReceiveDisabled";
