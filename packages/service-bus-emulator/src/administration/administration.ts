import { BrokerError } from "../broker/broker-error.js";
import {
  DEFAULT_QUEUE,
  DEFAULT_RULE,
  DEFAULT_SUBSCRIPTION,
  DEFAULT_TOPIC,
  inTier,
  type QueueDescription,
  type TopicDescription,
} from "../broker/descriptions.js";
import { assertRuleName } from "../broker/entity-path.js";
import { errors } from "../broker/errors.js";
import type { QueueEntity } from "../broker/queue-entity.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import type { SubscriptionEntity } from "../broker/subscription-entity.js";
import type { TopicEntity } from "../broker/topic-entity.js";
import { type AtomEntry, writeEntry, writeFeed, writeNothing } from "./atom.js";
import { type Field, QUEUE_FIELDS, SUBSCRIPTION_FIELDS, TOPIC_FIELDS } from "./description-fields.js";
import { readDescription } from "./description-xml.js";
import { queueEntry, ruleEntry, subscriptionEntry, topicEntry } from "./entity-entries.js";
import { readRule } from "./rule-xml.js";
import { child, childText, parseXml, tag, type XmlElement, XmlError } from "./xml.js";

/** A request to the administration API, its token already checked. */
export interface AdministrationRequest {
  readonly method: string;
  /** Decoded, without slashes at its ends. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Whether it carries If-Match: then it changes what exists. */
  readonly isUpdate: boolean;
  readonly body: string;
  /** Of the request: "localhost:5300". */
  readonly host: string;
}

export interface AdministrationResponse {
  readonly status: number;
  readonly body: string;
}

/** Entities on one page when the request does not say. */
const PAGE = 100;
const PARTITIONS = 16;

/**
 * The administration API: queues, topics, subscriptions and rules as ATOM entries
 * (https://learn.microsoft.com/rest/api/servicebus/). It throws BrokerErrors for what is refused.
 */
export class Administration {
  readonly #namespace: ServiceBusNamespace;
  readonly #name: string;

  /** @param name of the namespace. */
  constructor(namespace: ServiceBusNamespace, name: string) {
    this.#namespace = namespace;
    this.#name = name;
  }

  handle(request: AdministrationRequest): AdministrationResponse {
    const { path } = request;
    const rule = /^(.+)\/subscriptions\/([^/]+)\/rules(?:\/([^/]+))?$/i.exec(path);
    if (rule) return this.#rules(request, this.#subscription(rule[1] ?? "", rule[2] ?? ""), rule[3]);
    const subscription = /^(.+)\/subscriptions(?:\/([^/]+))?$/i.exec(path);
    if (subscription) return this.#subscriptions(request, subscription[1] ?? "", subscription[2]);
    switch (path.toLowerCase()) {
      case "":
        if (request.method !== "GET") throw errors.invalid("SubCode=40000. The name of the entity is empty.");
        return ok(writeNothing());
      case "$resources/queues":
        return this.#list(request, "Queues", this.#namespace.queues, (queue) => queueEntry(queue, request.host));
      case "$resources/topics":
        return this.#list(request, "Topics", this.#namespace.topics, (topic) => topicEntry(topic, request.host));
      case "$namespaceinfo":
        return this.#entry(request, this.#namespaceEntry());
      default:
        return this.#entity(request);
    }
  }

  /** Whether the path can only be a queue's or a topic's, and there is none: anybody who may use the namespace is told so, as the service does. */
  isNothing(path: string): boolean {
    return path !== "" && !path.startsWith("$") && !/\/subscriptions(\/|$)/i.test(path) && this.#find(path) === undefined;
  }

  #find(path: string): QueueEntity | TopicEntity | undefined {
    return this.#namespace.findQueue(path) ?? this.#namespace.findTopic(path);
  }

  #entity(request: AdministrationRequest): AdministrationResponse {
    const { method, path, host } = request;
    const found = this.#find(path);
    switch (method) {
      case "GET":
        if (!found) return ok(writeNothing());
        return this.#entry(request, found.kind === "queue" ? queueEntry(found, host) : topicEntry(found, host));
      case "PUT":
        return this.#putEntity(request);
      case "DELETE":
        if (!this.#namespace.delete(path)) throw errors.notFound(path);
        return ok("");
      default:
        throw notImplemented(method, path);
    }
  }

  #putEntity(request: AdministrationRequest): AdministrationResponse {
    const content = contentOf(request.body);
    if (content.name === "QueueDescription") return this.#putQueue(request, content);
    if (content.name === "TopicDescription") return this.#putTopic(request, content);
    throw errors.invalid(`A QueueDescription or a TopicDescription was expected, not '${content.name}'.`);
  }

  #putQueue(request: AdministrationRequest, content: XmlElement): AdministrationResponse {
    const { path, host } = request;
    if (!request.isUpdate) {
      const queue = this.#namespace.createQueue(path, this.#asTier(content, QUEUE_FIELDS, DEFAULT_QUEUE));
      return this.#entry(request, queueEntry(queue, host), 201);
    }
    const queue = this.#namespace.findQueue(path);
    if (!queue) throw errors.notFound(path);
    this.#namespace.updateQueue(queue, readDescription(content, QUEUE_FIELDS, queue.description));
    return this.#entry(request, queueEntry(queue, host));
  }

  #putTopic(request: AdministrationRequest, content: XmlElement): AdministrationResponse {
    const { path, host } = request;
    if (!request.isUpdate) {
      const topic = this.#namespace.createTopic(path, this.#asTier(content, TOPIC_FIELDS, DEFAULT_TOPIC));
      return this.#entry(request, topicEntry(topic, host), 201);
    }
    const topic = this.#namespace.findTopic(path);
    if (!topic) throw errors.notFound(path);
    this.#namespace.updateTopic(topic, readDescription(content, TOPIC_FIELDS, topic.description));
    return this.#entry(request, topicEntry(topic, host));
  }

  /**
   * What a new entity is in the namespace's tier. "Service Bus will automatically create 16 partitions, each with the size of MaxSizeInMegabytes"
   * (the service's own tests for Go): not so in Premium, which alone lets messages be larger than its default.
   */
  #asTier<D extends QueueDescription | TopicDescription>(content: XmlElement, fields: readonly Field<D>[], usual: D): D {
    const { tier } = this.#namespace;
    if (tier === "Premium") return readDescription(content, fields, inTier(usual, tier));
    const description = readDescription(content, fields, usual);
    if (description.maxMessageSizeInKilobytes !== usual.maxMessageSizeInKilobytes)
      throw errors.invalid(`SubCode=40000. MaxMessageSizeInKilobytes cannot be set, because the namespace is using '${tier}' tier.`);
    return description.enablePartitioning
      ? { ...description, maxSizeInMegabytes: description.maxSizeInMegabytes * PARTITIONS }
      : description;
  }

  #subscriptions(request: AdministrationRequest, topicName: string, name: string | undefined): AdministrationResponse {
    const { method, path, host } = request;
    const topic = this.#namespace.findTopic(topicName);
    if (!topic) throw errors.notFound(topicName);
    if (name === undefined) {
      const subscriptions = [...topic.subscriptions.values()].sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
      return this.#list(request, "Subscriptions", subscriptions, (subscription) => subscriptionEntry(subscription, host));
    }
    switch (method) {
      case "GET":
        return this.#entry(request, subscriptionEntry(this.#subscription(topicName, name), host));
      case "PUT":
        return this.#putSubscription(request, topicName, name);
      case "DELETE":
        this.#subscription(topicName, name);
        this.#namespace.delete(path);
        return ok("");
      default:
        throw notImplemented(method, path);
    }
  }

  #putSubscription(request: AdministrationRequest, topicName: string, name: string): AdministrationResponse {
    const content = contentOf(request.body);
    if (content.name !== "SubscriptionDescription") throw errors.invalid(`A SubscriptionDescription was expected, not '${content.name}'.`);
    if (request.isUpdate) {
      const subscription = this.#subscription(topicName, name);
      this.#namespace.updateSubscription(subscription, readDescription(content, SUBSCRIPTION_FIELDS, subscription.description));
      return this.#entry(request, subscriptionEntry(subscription, request.host));
    }
    const description = readDescription(content, SUBSCRIPTION_FIELDS, DEFAULT_SUBSCRIPTION);
    const rule = child(content, "DefaultRuleDescription");
    const rules = [rule ? readRule(rule, childText(rule, "Name")?.trim() || DEFAULT_RULE.name) : DEFAULT_RULE];
    const subscription = this.#namespace.createSubscription(topicName, name, description, rules);
    return this.#entry(request, subscriptionEntry(subscription, request.host), 201);
  }

  #rules(request: AdministrationRequest, subscription: SubscriptionEntity, name: string | undefined): AdministrationResponse {
    const { method, path } = request;
    if (name === undefined && method === "PUT" && !request.isUpdate) return this.#putRule(request, subscription, nameOfRule(request.body));
    if (name === undefined) {
      return this.#list(request, "Rules", subscription.rules.list(), (rule) => ruleEntry(rule, subscription));
    }
    const found = subscription.rules.find(name);
    if (method === "PUT") return this.#putRule(request, subscription, name);
    if (!found) throw errors.notFound(`${subscription.path}/Rules/${name}`);
    if (method === "GET") return this.#entry(request, ruleEntry(found, subscription));
    if (method !== "DELETE") throw notImplemented(method, path);
    subscription.removeRule(name);
    return ok("");
  }

  #putRule(request: AdministrationRequest, subscription: SubscriptionEntity, name: string): AdministrationResponse {
    const content = contentOf(request.body);
    if (content.name !== "RuleDescription") throw errors.invalid(`A RuleDescription was expected, not '${content.name}'.`);
    const before = subscription.rules.find(name);
    if (request.isUpdate) {
      if (!before) throw errors.notFound(`${subscription.path}/Rules/${name}`);
      subscription.setRule({ ...readRule(content, before.name), createdAt: before.createdAt });
    } else {
      assertRuleName(name);
      subscription.addRule(readRule(content, name));
    }
    const written = subscription.rules.find(name);
    if (!written) throw errors.notFound(name);
    return this.#entry(request, ruleEntry(written, subscription), request.isUpdate ? 200 : 201);
  }

  #subscription(topic: string, name: string): SubscriptionEntity {
    const subscription = this.#namespace.findSubscription(topic, name);
    if (!subscription) throw errors.notFound(`${topic}/Subscriptions/${name}`);
    return subscription;
  }

  #entry(request: AdministrationRequest, entry: AtomEntry, status = 200): AdministrationResponse {
    return { status, body: writeEntry(entry, `http://${request.host}`) };
  }

  #list<T>(request: AdministrationRequest, title: string, all: readonly T[], entryOf: (item: T) => AtomEntry): AdministrationResponse {
    if (request.method !== "GET") throw notImplemented(request.method, request.path);
    const skip = numberOf(request.query, "$skip", 0);
    const top = numberOf(request.query, "$top", PAGE);
    const base = `http://${request.host}`;
    const page = (from: number): string => `${base}/${encodeURI(request.path)}?$skip=${from}&$top=${top}&api-version=2021-05`;
    const next = skip + top < all.length ? page(skip + top) : undefined;
    return ok(writeFeed(title, all.slice(skip, skip + top).map(entryOf), base, page(skip), next));
  }

  #namespaceEntry(): AtomEntry {
    const { createdAt, tier } = this.#namespace;
    const at = new Date(createdAt).toISOString();
    // Only Premium has messaging units; the other tiers do not name them.
    const units = tier === "Premium" ? 1 : undefined;
    return {
      title: this.#name,
      path: this.#name,
      element: "NamespaceInfo",
      properties:
        `${tag("CreatedTime", at)}${tag("MessagingSKU", tier)}${tag("MessagingUnits", units)}` +
        `${tag("ModifiedTime", at)}${tag("Name", this.#name)}${tag("NamespaceType", "Messaging")}`,
      createdAt,
      updatedAt: createdAt,
    };
  }
}

/** The description in an entry's content. @throws BrokerError "amqp:invalid-field" */
function contentOf(body: string): XmlElement {
  let entry: XmlElement;
  try {
    entry = parseXml(body);
  } catch (error) {
    if (error instanceof XmlError) throw errors.invalid(error.message);
    throw error;
  }
  const content = child(entry, "content")?.children[0];
  if (entry.name !== "entry" || !content) throw errors.invalid("The body is no ATOM entry with content.");
  return content;
}

/** The Go SDK leaves the name out of the address when a rule is created without one. */
function nameOfRule(body: string): string {
  return childText(contentOf(body), "Name")?.trim() || DEFAULT_RULE.name;
}

function numberOf(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name);
  if (text === null || text === "") return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw errors.invalid(`${name} is '${text}', but must be a whole number.`);
  return Number(text);
}

function ok(body: string): AdministrationResponse {
  return { status: 200, body };
}

function notImplemented(method: string, path: string): BrokerError {
  const text = `${method} /${path} is not implemented here. Messages are sent and received over AMQP; entities are read, put and deleted over HTTP.`;
  return new BrokerError("amqp:not-implemented", text);
}
