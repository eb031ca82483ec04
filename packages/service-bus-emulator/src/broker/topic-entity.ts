import type { BrokerContext } from "./broker-context.js";
import type { BrokerError } from "./broker-error.js";
import type { IncomingMessage, Sendable, StoredMessage } from "./contracts.js";
import type { TopicDescription } from "./descriptions.js";
import { errors } from "./errors.js";
import { IdleWatch } from "./idle-watch.js";
import { Intake } from "./intake.js";
import { MessageQueue } from "./message-queue.js";
import { cap } from "./primary-queue.js";
import { contentOf, type MessageContent, type QueuedMessage } from "./queued-message.js";
import type { SubscriptionEntity } from "./subscription-entity.js";

/** What a topic keeps itself: the messages that are scheduled. All others go to the subscriptions at once. */
class ScheduleQueue extends MessageQueue {
  readonly kind = "queue";
  readonly #topic: TopicEntity;

  constructor(topic: TopicEntity, id: number, context: BrokerContext) {
    super({ id, path: topic.path, requiresSession: false }, context);
    this.#topic = topic;
  }

  get lockDuration(): number {
    return 0;
  }

  get maxMessageSize(): number {
    return this.#topic.maxMessageSize;
  }

  touch(): void {
    this.#topic.touch();
  }

  protected get maxDeliveryCount(): number {
    return Number.POSITIVE_INFINITY;
  }

  protected get defaultTimeToLive(): number {
    return Number.POSITIVE_INFINITY;
  }

  protected get expires(): boolean {
    return false;
  }

  protected get forwardTarget(): undefined {
    return undefined;
  }

  protected forward(): boolean {
    return false;
  }

  protected assertReceivable(): void {
    throw errors.invalid(`'${this.path}' is a topic. Receive from one of its subscriptions.`);
  }

  protected undeliverable(): void {
    throw new Error("Scheduled messages of a topic are not delivered.");
  }

  protected activate(message: QueuedMessage): void {
    this.#topic.publish(contentOf(message), message.enqueuedSequence);
  }
}

export class TopicEntity implements Sendable {
  readonly kind = "topic";
  readonly id: number;
  readonly path: string;
  createdAt: number;
  updatedAt: number;
  readonly intake: Intake;
  readonly schedules: ScheduleQueue;
  /** By name in lower case. */
  readonly subscriptions: Map<string, SubscriptionEntity> = new Map();
  readonly #context: BrokerContext;
  readonly #idle: IdleWatch;
  #description: TopicDescription;

  constructor(id: number, path: string, description: TopicDescription, context: BrokerContext) {
    this.id = id;
    this.path = path;
    this.#description = description;
    this.#context = context;
    this.createdAt = this.updatedAt = context.timers.now();
    this.schedules = new ScheduleQueue(this, id, context);
    this.intake = new Intake({ id, path }, context, () => ({ description: this.description, bytes: this.bytes }));
    this.#idle = new IdleWatch(
      context.timers,
      () => this.schedules.store.scheduledCount > 0,
      () => context.deleteIdle(path),
    );
    this.#idle.setLimit(description.autoDeleteOnIdle);
  }

  get description(): TopicDescription {
    return this.#description;
  }

  get accessedAt(): number | undefined {
    return this.#idle.usedAt;
  }

  /** What it and its subscriptions hold. */
  get bytes(): number {
    let bytes = this.schedules.store.bytes;
    for (const subscription of this.subscriptions.values()) bytes += subscription.totalBytes;
    return bytes;
  }

  get maxMessageSize(): number {
    return this.#description.maxMessageSizeInKilobytes * 1024;
  }

  update(description: TopicDescription): void {
    this.#description = description;
    this.updatedAt = this.#context.timers.now();
    this.#idle.setLimit(description.autoDeleteOnIdle);
    if (description.status !== "Disabled") return;
    for (const subscription of this.subscriptions.values()) subscription.detachReceivers(errors.disabled(subscription.path, "receives"));
  }

  touch(): void {
    this.#idle.touch();
  }

  openSender(onEnd: (error: BrokerError) => void): () => void {
    return this.intake.openSender(onEnd);
  }

  send(messages: readonly IncomingMessage[]): void {
    this.intake.assertOpen();
    this.touch();
    const contents = messages.map((message) => this.intake.read(message));
    for (const content of contents) this.#take(content, undefined);
  }

  schedule(messages: readonly IncomingMessage[]): bigint[] {
    this.intake.assertOpen();
    this.touch();
    const contents = messages.map((message) => this.intake.read(message));
    if (contents.some((content) => content.scheduledEnqueueTime === undefined)) {
      throw errors.invalid("A message to be scheduled has no annotation x-opt-scheduled-enqueue-time.");
    }
    return contents.map((content) => BigInt(this.#take(content, undefined)));
  }

  /** Takes a message that another entity forwards. @throws BrokerError as `send`. */
  accept(content: MessageContent, enqueuedSequence: number): void {
    this.intake.assertOpen();
    this.touch();
    this.#take(content, enqueuedSequence);
  }

  cancelScheduled(sequenceNumbers: readonly bigint[]): void {
    this.schedules.cancelScheduled(sequenceNumbers);
  }

  peek(fromSequenceNumber: bigint, count: number, sessionId?: string): StoredMessage[] {
    return this.schedules.peek(fromSequenceNumber, count, sessionId);
  }

  /** Gives a message to every subscription whose rules select it. */
  publish(content: MessageContent, enqueuedSequence: number | undefined): number {
    const sequence = this.schedules.store.takeSequence();
    const position = { sequence, enqueuedSequence: enqueuedSequence ?? sequence, enqueuedTime: this.#context.timers.now() };
    const longest = cap(this.#description.defaultMessageTimeToLive);
    const capped = (content.timeToLive ?? Number.POSITIVE_INFINITY) > longest ? { ...content, timeToLive: longest } : content;
    for (const subscription of this.subscriptions.values()) subscription.offer(capped, position);
    return sequence;
  }

  end(error: BrokerError): void {
    this.schedules.end(error);
    this.intake.end(error);
    this.#idle.stop();
  }

  #take(content: MessageContent, enqueuedSequence: number | undefined): number {
    if (this.intake.isDuplicate(content.bare)) return this.schedules.store.lastSequence;
    if ((content.scheduledEnqueueTime ?? 0) > this.#context.timers.now()) return this.schedules.enqueue(content, { scheduled: true });
    return this.publish(content, enqueuedSequence);
  }
}
