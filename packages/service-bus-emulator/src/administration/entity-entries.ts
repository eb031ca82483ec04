import type { RuleDescription } from "../broker/contracts.js";
import type { QueueEntity } from "../broker/queue-entity.js";
import type { SubscriptionEntity } from "../broker/subscription-entity.js";
import type { TopicEntity } from "../broker/topic-entity.js";
import type { AtomEntry } from "./atom.js";
import { QUEUE_FIELDS, SUBSCRIPTION_FIELDS, TOPIC_FIELDS } from "./description-fields.js";
import { writeDescription } from "./description-xml.js";
import { writeRule } from "./rule-xml.js";
import { tag } from "./xml.js";

const COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus";

/** As the service writes it of a queue or topic that nobody has used (github.com/Azure/azure-sdk-for-go, internal/atom/models.go). */
const NEVER = "0001-01-01T00:00:00";

interface Counts {
  readonly active: number;
  readonly deadLetter: number;
  readonly scheduled: number;
  readonly transferDeadLetter: number;
}

/** @param host of the request: targets of forwarding are answered as addresses on it. */
export function queueEntry(queue: QueueEntity, host: string): AtomEntry {
  const counts = countsOf(queue);
  const properties = writeDescription(queue.description, QUEUE_FIELDS, host);
  properties.set("SizeInBytes", tag("SizeInBytes", queue.totalBytes));
  properties.set("MessageCount", tag("MessageCount", total(counts)));
  properties.set("IsAnonymousAccessible", tag("IsAnonymousAccessible", false));
  properties.set("SupportOrdering", tag("SupportOrdering", true));
  return entryOf("QueueDescription", queue.path, queue, properties, counts);
}

export function topicEntry(topic: TopicEntity, host: string): AtomEntry {
  const properties = writeDescription(topic.description, TOPIC_FIELDS, host);
  properties.set("SizeInBytes", tag("SizeInBytes", topic.bytes));
  properties.set("IsAnonymousAccessible", tag("IsAnonymousAccessible", false));
  properties.set("SubscriptionCount", tag("SubscriptionCount", topic.subscriptions.size));
  // Java's client cannot change a topic that comes without it.
  properties.set("EnableSubscriptionPartitioning", tag("EnableSubscriptionPartitioning", false));
  const counts = { active: 0, deadLetter: 0, scheduled: topic.schedules.store.scheduledCount, transferDeadLetter: 0 };
  const entry = entryOf("TopicDescription", topic.path, topic, properties, counts);
  return { ...entry, properties: entry.properties + writeFilterCounts(topic) };
}

/** The newest of what the service writes (github.com/Azure/azure-sdk-for-go, admin client): rules of all subscriptions, those that select everything among the SQL ones. */
function writeFilterCounts(topic: TopicEntity): string {
  const filters = [...topic.subscriptions.values()].flatMap(({ rules }) => rules.list().map(({ filter }) => filter.kind));
  const correlations = filters.filter((kind) => kind === "correlation").length;
  return tag("SqlFilterCount", filters.length - correlations) + tag("CorrelationFilterCount", correlations);
}

export function subscriptionEntry(subscription: SubscriptionEntity, host: string): AtomEntry {
  const counts = countsOf(subscription);
  const properties = writeDescription(subscription.description, SUBSCRIPTION_FIELDS, host);
  properties.set("MessageCount", tag("MessageCount", total(counts)));
  const { createdAt, updatedAt, accessedAt = createdAt } = subscription;
  const entry = entryOf("SubscriptionDescription", subscription.path, { createdAt, updatedAt, accessedAt }, properties, counts);
  return { ...entry, title: subscription.name };
}

export function ruleEntry(rule: RuleDescription, subscription: SubscriptionEntity): AtomEntry {
  const at = rule.createdAt ?? subscription.createdAt;
  return {
    title: rule.name,
    path: `${subscription.path}/Rules/${rule.name}`,
    element: "RuleDescription",
    properties: writeRule(rule),
    createdAt: at,
    updatedAt: at,
  };
}

function entryOf(
  element: string,
  path: string,
  times: { readonly createdAt: number; readonly updatedAt: number; readonly accessedAt: number | undefined },
  properties: Map<string, string>,
  counts: Counts,
): AtomEntry {
  properties.set("CreatedAt", tag("CreatedAt", new Date(times.createdAt).toISOString()));
  properties.set("UpdatedAt", tag("UpdatedAt", new Date(times.updatedAt).toISOString()));
  properties.set("AccessedAt", tag("AccessedAt", times.accessedAt === undefined ? NEVER : new Date(times.accessedAt).toISOString()));
  properties.set("CountDetails", writeCounts(counts));
  properties.set("EntityAvailabilityStatus", tag("EntityAvailabilityStatus", "Available"));
  return {
    title: path,
    path,
    element,
    properties: [...properties.values()].join(""),
    createdAt: times.createdAt,
    updatedAt: times.updatedAt,
  };
}

function countsOf(queue: QueueEntity | SubscriptionEntity): Counts {
  return {
    active: queue.activeCount,
    deadLetter: queue.deadLetters.activeCount,
    scheduled: queue.store.scheduledCount,
    transferDeadLetter: queue.transferDeadLetters.activeCount,
  };
}

function total({ active, deadLetter, scheduled, transferDeadLetter }: Counts): number {
  return active + deadLetter + scheduled + transferDeadLetter;
}

function writeCounts(counts: Counts): string {
  return (
    `<CountDetails xmlns:d2p1="${COUNTS}">${tag("d2p1:ActiveMessageCount", counts.active)}${tag("d2p1:DeadLetterMessageCount", counts.deadLetter)}` +
    `${tag("d2p1:ScheduledMessageCount", counts.scheduled)}${tag("d2p1:TransferMessageCount", 0)}` +
    `${tag("d2p1:TransferDeadLetterMessageCount", counts.transferDeadLetter)}</CountDetails>`
  );
}
