import type { BrokerContext } from "./broker-context.js";
import type { RuleDescription, Subscription } from "./contracts.js";
import type { SubscriptionDescription } from "./descriptions.js";
import { errors } from "./errors.js";
import { PrimaryQueue } from "./primary-queue.js";
import { type MessageContent, QueuedMessage } from "./queued-message.js";
import { Rules } from "./rules.js";

/** What a subscription asks of its topic. */
export interface SubscriptionTopic {
  readonly maxMessageSize: number;
  /** Then nothing is received from its subscriptions either. */
  readonly isDisabled: boolean;
  /** The subscription's rules changed. */
  rulesChanged(subscription: SubscriptionEntity): void;
}

/** Where a message stood in its topic. */
export interface TopicPosition {
  readonly sequence: number;
  readonly enqueuedSequence: number;
  readonly enqueuedTime: number;
}

export class SubscriptionEntity extends PrimaryQueue<SubscriptionDescription> implements Subscription {
  readonly kind = "subscription";
  readonly name: string;
  readonly rules: Rules = new Rules();
  readonly #topic: SubscriptionTopic;

  constructor(
    identity: { readonly id: number; readonly path: string; readonly name: string },
    description: SubscriptionDescription,
    topic: SubscriptionTopic,
    context: BrokerContext,
  ) {
    super(identity.id, identity.path, description, context);
    this.name = identity.name;
    this.#topic = topic;
  }

  get maxMessageSize(): number {
    return this.#topic.maxMessageSize;
  }

  addRule(rule: RuleDescription): void {
    this.#assertRulesMayChange();
    if (this.rules.find(rule.name)) throw errors.exists(`${this.path}/Rules/${rule.name}`);
    this.setRule(rule);
  }

  /** Adds a rule or puts it in the place of the one of that name. */
  setRule(rule: RuleDescription): void {
    this.rules.set(rule, this.context.timers.now());
    this.touch();
    this.#topic.rulesChanged(this);
  }

  removeRule(name: string): void {
    this.#assertRulesMayChange();
    if (!this.rules.remove(name)) throw errors.notFound(`${this.path}/Rules/${name}`);
    this.touch();
    this.#topic.rulesChanged(this);
  }

  listRules(skip: number, top: number): RuleDescription[] {
    return this.rules.list().slice(skip, skip + top);
  }

  /** A message of the topic: takes as many copies as its rules say. */
  offer(content: MessageContent, position: TopicPosition): void {
    const { copies, failure } = this.rules.select(content, position);
    for (const copy of copies) this.#take(copy, position);
    if (failure && copies.length === 0 && this.description.deadLetteringOnFilterEvaluationExceptions) {
      this.deadLetter(messageOf(content, position), failure.name, failure.message);
    }
  }

  #assertRulesMayChange(): void {
    if (this.description.status === "Disabled" || this.#topic.isDisabled) throw errors.disabled(this.path, "changes of its rules");
  }

  #take(copy: MessageContent, position: TopicPosition): void {
    if (this.refuseLargeHeader(messageOf(copy, position))) return;
    if (this.requiresSession && copy.sessionId === undefined) {
      this.deadLetter(
        messageOf(copy, position),
        "Session ID is null.",
        "Session enabled entity doesn't allow a message whose session identifier is null.",
      );
      return;
    }
    this.enqueue(copy, { enqueuedSequence: position.enqueuedSequence });
  }

  protected override assertEnabled(): void {
    super.assertEnabled();
    if (this.#topic.isDisabled) throw errors.disabled(this.path, "receives");
  }

  protected activate(): void {
    throw new Error("A subscription has no scheduled messages: its topic has them.");
  }
}

function messageOf(content: MessageContent, position: TopicPosition): QueuedMessage {
  return new QueuedMessage(content, { ...position, expires: false });
}
