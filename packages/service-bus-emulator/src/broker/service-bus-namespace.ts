import type { BrokerContext, Faults } from "./broker-context.js";
import type { BrokerError } from "./broker-error.js";
import type { Namespace, Receivable, RuleDescription, Sendable, Subscription } from "./contracts.js";
import { assertValidQueue, assertValidSubscription, assertValidTopic } from "./description-rules.js";
import {
  DEFAULT_QUEUE,
  DEFAULT_RULE,
  DEFAULT_SUBSCRIPTION,
  DEFAULT_TOPIC,
  inTier,
  type QueueDescription,
  type SubscriptionDescription,
  type Tier,
  type TopicDescription,
} from "./descriptions.js";
import { assertPath, assertRuleName, assertSubscriptionName, parseAddress, withoutHost } from "./entity-path.js";
import { errors } from "./errors.js";
import type { MessageQueue } from "./message-queue.js";
import type { NamespaceJournal } from "./namespace-journal.js";
import { IDS_PER_ENTITY } from "./primary-queue.js";
import { QueueEntity } from "./queue-entity.js";
import { SubscriptionEntity } from "./subscription-entity.js";
import { type Clock, systemClock, Timers } from "./timers.js";
import { TopicEntity } from "./topic-entity.js";

export interface NamespaceOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: none, everything is in memory only. */
  readonly journal?: NamespaceJournal | undefined;
  /** Default "Standard". */
  readonly tier?: Tier;
}

/** The entities of a namespace and what can be done with them as a whole. Names do not depend on letter case. */
export class ServiceBusNamespace implements Namespace {
  readonly timers: Timers;
  readonly faults: Faults = { throttledUntil: 0 };
  readonly createdAt: number;
  readonly tier: Tier;
  readonly #journal: NamespaceJournal | undefined;
  readonly #context: BrokerContext;
  readonly #entities = new Map<string, QueueEntity | TopicEntity>();
  #nextId = 1;

  constructor(options: NamespaceOptions = {}) {
    this.timers = new Timers(options.clock ?? systemClock);
    this.createdAt = this.timers.now();
    this.tier = options.tier ?? "Standard";
    this.#journal = options.journal;
    this.#context = {
      timers: this.timers,
      journal: options.journal,
      faults: this.faults,
      forward: (target, content, enqueuedSequence) => this.requireSendable(target).accept(content, enqueuedSequence),
      deleteIdle: (path) => this.delete(path),
    };
  }

  kept(): Promise<void> | undefined {
    return this.#journal?.kept();
  }

  find(address: string): Sendable | Receivable | Subscription | undefined {
    const { name, subscription, subQueue } = parseAddress(address);
    const entity = this.#entities.get(name);
    const parent = subscription === undefined ? entity : entity instanceof TopicEntity ? entity.subscriptions.get(subscription) : undefined;
    if (subQueue === undefined) return parent;
    if (!parent || parent instanceof TopicEntity) return undefined;
    return subQueue === "dead-letters" ? parent.deadLetters : parent.transferDeadLetters;
  }

  get queues(): QueueEntity[] {
    return sorted([...this.#entities.values()].filter((entity) => entity instanceof QueueEntity));
  }

  get topics(): TopicEntity[] {
    return sorted([...this.#entities.values()].filter((entity) => entity instanceof TopicEntity));
  }

  findQueue(name: string): QueueEntity | undefined {
    const entity = this.#entities.get(name.toLowerCase());
    return entity instanceof QueueEntity ? entity : undefined;
  }

  findTopic(name: string): TopicEntity | undefined {
    const entity = this.#entities.get(name.toLowerCase());
    return entity instanceof TopicEntity ? entity : undefined;
  }

  findSubscription(topic: string, name: string): SubscriptionEntity | undefined {
    return this.findTopic(topic)?.subscriptions.get(name.toLowerCase());
  }

  /** @throws BrokerError "amqp:not-found" */
  requireSendable(name: string): QueueEntity | TopicEntity {
    const entity = this.#entities.get(withoutHost(name).toLowerCase());
    if (!entity) throw errors.notFound(name);
    return entity;
  }

  /** @throws BrokerError "com.microsoft:entity-already-exists"; "amqp:invalid-field" for a wrong name or property. */
  createQueue(name: string, description: Partial<QueueDescription> = {}): QueueEntity {
    assertPath(name);
    this.#assertFree(name);
    const whole = { ...inTier(DEFAULT_QUEUE, this.tier), ...description };
    assertValidQueue(name, whole, this);
    const queue = this.addQueue(this.#takeId(), name, whole);
    this.#store(queue);
    return queue;
  }

  /** @throws BrokerError as `createQueue`. */
  createTopic(name: string, description: Partial<TopicDescription> = {}): TopicEntity {
    assertPath(name);
    this.#assertFree(name);
    const whole = { ...inTier(DEFAULT_TOPIC, this.tier), ...description };
    if (this.tier === "Basic")
      throw errors.invalid("SubCode=40000. Cannot operate on type Topic because the namespace is using 'Basic' tier.");
    assertValidTopic(whole);
    const topic = this.addTopic(this.#takeId(), name, whole);
    this.#store(topic);
    return topic;
  }

  /** @throws BrokerError as `createQueue`; "amqp:not-found" when there is no such topic. */
  createSubscription(
    topicName: string,
    name: string,
    description: Partial<SubscriptionDescription> = {},
    rules: readonly RuleDescription[] = [DEFAULT_RULE],
  ): SubscriptionEntity {
    assertSubscriptionName(name);
    const topic = this.findTopic(topicName);
    if (!topic) throw errors.notFound(topicName);
    if (topic.subscriptions.has(name.toLowerCase())) throw errors.exists(`${topic.path}/Subscriptions/${name}`);
    for (const rule of rules) assertRuleName(rule.name);
    const whole = { ...DEFAULT_SUBSCRIPTION, ...description };
    assertValidSubscription(`${topic.path}/Subscriptions/${name}`, whole, this);
    const subscription = this.addSubscription(this.#takeId(), topic, name, whole, rules);
    this.#store(subscription);
    return subscription;
  }

  /** @throws BrokerError "amqp:invalid-field" when a property is wrong or cannot be changed. */
  updateQueue(queue: QueueEntity, description: QueueDescription): void {
    assertValidQueue(queue.path, description, this, queue.description);
    queue.update(description);
    this.#store(queue);
  }

  /** @throws BrokerError as `updateQueue`. */
  updateTopic(topic: TopicEntity, description: TopicDescription): void {
    assertValidTopic(description, topic.description);
    topic.update(description);
    this.#store(topic);
  }

  /** @throws BrokerError as `updateQueue`. */
  updateSubscription(subscription: SubscriptionEntity, description: SubscriptionDescription): void {
    assertValidSubscription(subscription.path, description, this, subscription.description);
    subscription.update(description);
    this.#store(subscription);
  }

  /** Deletes a queue, a topic with its subscriptions, or a subscription. Whether it was there. */
  delete(path: string): boolean {
    const { name, subscription } = parseAddress(path);
    const entity = this.#entities.get(name);
    if (subscription !== undefined) {
      const found = entity instanceof TopicEntity ? entity.subscriptions.get(subscription) : undefined;
      if (!found || !(entity instanceof TopicEntity)) return false;
      entity.subscriptions.delete(subscription);
      this.#end(found);
      return true;
    }
    if (!entity) return false;
    this.#entities.delete(name);
    if (entity instanceof TopicEntity) for (const child of entity.subscriptions.values()) this.#end(child);
    this.#end(entity);
    return true;
  }

  /** Fault hook: every lock, of messages and of sessions, ends now. */
  expireLocks(): void {
    for (const queue of this.primaryQueues()) queue.expireLocks();
  }

  /** Fault hook: sends are refused for some time. */
  throttle(milliseconds: number): void {
    this.faults.throttledUntil = this.timers.now() + milliseconds;
  }

  /** Nothing happens by itself any more. */
  stop(): void {
    this.timers.stop();
  }

  *primaryQueues(): Generator<QueueEntity | SubscriptionEntity> {
    for (const entity of this.#entities.values()) {
      if (entity instanceof QueueEntity) yield entity;
      else yield* entity.subscriptions.values();
    }
  }

  /** Every queue of messages under its number. */
  *messageQueues(): Generator<MessageQueue> {
    for (const queue of this.primaryQueues()) yield* queue.queues;
    for (const topic of this.topics) yield topic.schedules;
  }

  /** Adds a queue that is known to be right: one that was just checked, or one of the data folder. */
  addQueue(id: number, name: string, description: QueueDescription): QueueEntity {
    const queue = new QueueEntity(this.#noteId(id), name, description, this.#context);
    this.#entities.set(name.toLowerCase(), queue);
    return queue;
  }

  /** As `addQueue`. */
  addTopic(id: number, name: string, description: TopicDescription): TopicEntity {
    const topic = new TopicEntity(this.#noteId(id), name, description, this.#context);
    this.#entities.set(name.toLowerCase(), topic);
    return topic;
  }

  /** As `addQueue`. @throws BrokerError when a rule's expression is wrong. */
  addSubscription(
    id: number,
    topic: TopicEntity,
    name: string,
    description: SubscriptionDescription,
    rules: readonly RuleDescription[],
  ): SubscriptionEntity {
    const identity = { id: this.#noteId(id), path: `${topic.path}/Subscriptions/${name}`, name };
    const parent = {
      get maxMessageSize(): number {
        return topic.maxMessageSize;
      },
      get isDisabled(): boolean {
        return topic.description.status === "Disabled";
      },
      rulesChanged: (changed: SubscriptionEntity): void => this.#store(changed),
    };
    const subscription = new SubscriptionEntity(identity, description, parent, this.#context);
    for (const rule of rules) subscription.rules.set(rule, this.timers.now());
    topic.subscriptions.set(name.toLowerCase(), subscription);
    return subscription;
  }

  #assertFree(name: string): void {
    if (this.#entities.has(name.toLowerCase())) throw errors.exists(name);
  }

  #takeId(): number {
    return this.#nextId;
  }

  #noteId(id: number): number {
    this.#nextId = Math.max(this.#nextId, id + IDS_PER_ENTITY);
    return id;
  }

  #store(entity: QueueEntity | TopicEntity | SubscriptionEntity): void {
    this.#journal?.entityStored(entity);
  }

  #end(entity: QueueEntity | TopicEntity | SubscriptionEntity): void {
    const reason: BrokerError = errors.deleted(entity.path);
    entity.end(reason);
    this.#journal?.entityRemoved(entity.id);
  }
}

function sorted<T extends { readonly path: string }>(entities: T[]): T[] {
  return entities.sort((a, b) => (a.path.toLowerCase() < b.path.toLowerCase() ? -1 : 1));
}
