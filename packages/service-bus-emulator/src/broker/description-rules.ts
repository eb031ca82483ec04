import {
  type EntityStatus,
  MAX_DURATION,
  type QueueDescription,
  type SubscriptionDescription,
  type Tier,
  type TopicDescription,
} from "./descriptions.js";
import { errors } from "./errors.js";

/** The namespace as the checks need it. */
export interface Targets {
  readonly tier: Tier;
  /** @throws BrokerError when there is no queue or topic of that name. */
  requireSendable(name: string): unknown;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const LONGEST_LOCK = 5 * MINUTE;
const LONGEST_WINDOW = 7 * DAY;
const SHORTEST_IDLE = 5 * MINUTE;
const MOST_DELIVERIES = 2 ** 31 - 1;
const LONGEST_METADATA = 1024;
const STATUSES: readonly EntityStatus[] = ["Active", "Disabled", "SendDisabled", "ReceiveDisabled"];

/**
 * The limits of Azure (https://learn.microsoft.com/azure/templates/microsoft.servicebus/namespaces/queues). Only the shortest lock and the
 * shortest window of duplicate detection are not enforced, so that tests need not wait.
 * @param before what it was, when it is an update.
 * @throws BrokerError "amqp:invalid-field"
 */
export function assertValidQueue(path: string, queue: QueueDescription, targets: Targets, before?: QueueDescription): void {
  if (targets.tier === "Basic") assertBasic(queue);
  assertSendable(queue, before);
  assertReceivable(path, queue, targets, before);
}

/** As `assertValidQueue`. */
export function assertValidTopic(topic: TopicDescription, before?: TopicDescription): void {
  assertEntity(topic);
  assertSendable(topic, before);
}

/** As `assertValidQueue`. */
export function assertValidSubscription(
  path: string,
  subscription: SubscriptionDescription,
  targets: Targets,
  before?: SubscriptionDescription,
): void {
  assertReceivable(path, subscription, targets, before);
}

function assertBasic(queue: QueueDescription): void {
  const wanted = [
    ["RequiresSession", queue.requiresSession],
    ["RequiresDuplicateDetection", queue.requiresDuplicateDetection],
    ["ForwardTo", queue.forwardTo !== undefined],
    ["ForwardDeadLetteredMessagesTo", queue.forwardDeadLetteredMessagesTo !== undefined],
    ["AutoDeleteOnIdle", queue.autoDeleteOnIdle < MAX_DURATION],
  ] as const;
  const refused = wanted.filter(([, isWanted]) => isWanted).map(([property]) => property);
  if (refused.length > 0)
    throw errors.invalid(`SubCode=40000. ${refused.join(", ")}: not available, because the namespace is using 'Basic' tier.`);
}

function assertEntity(entity: QueueDescription | TopicDescription | SubscriptionDescription): void {
  range("DefaultMessageTimeToLive", entity.defaultMessageTimeToLive, 1, MAX_DURATION);
  range("AutoDeleteOnIdle", entity.autoDeleteOnIdle, SHORTEST_IDLE, MAX_DURATION);
  if (!STATUSES.includes(entity.status)) throw errors.invalid(`Status is '${entity.status}', but one of ${STATUSES.join(", ")} is wanted.`);
  if ((entity.userMetadata?.length ?? 0) > LONGEST_METADATA)
    throw errors.invalid(`UserMetadata has more than ${LONGEST_METADATA} characters.`);
}

function assertSendable(entity: QueueDescription | TopicDescription, before: QueueDescription | TopicDescription | undefined): void {
  range("DuplicateDetectionHistoryTimeWindow", entity.duplicateDetectionHistoryTimeWindow, 1, LONGEST_WINDOW);
  range("MaxSizeInMegabytes", entity.maxSizeInMegabytes, 1, 81_920);
  if ("enableExpress" in entity && entity.enableExpress && entity.requiresDuplicateDetection)
    throw errors.invalid(
      "SubCode=40000. Both DelayedPersistence property and RequiresDuplicateDetection property cannot be enabled together.",
    );
  range("MaxMessageSizeInKilobytes", entity.maxMessageSizeInKilobytes, 1, 102_400);
  if (before && before.requiresDuplicateDetection !== entity.requiresDuplicateDetection)
    throw unchangeable("RequiresDuplicateDetection", "lockDuration" in entity ? "Queue" : "Topic");
  if (before && before.enablePartitioning !== entity.enablePartitioning) {
    throw errors.invalid(`Partitioning cannot be changed for ${"lockDuration" in entity ? "Queue" : "Topic"}. `);
  }
}

function assertReceivable(
  path: string,
  entity: QueueDescription | SubscriptionDescription,
  targets: Targets,
  before: QueueDescription | SubscriptionDescription | undefined,
): void {
  assertEntity(entity);
  range("LockDuration", entity.lockDuration, 1, LONGEST_LOCK);
  range("MaxDeliveryCount", entity.maxDeliveryCount, 1, MOST_DELIVERIES);
  if (before && before.requiresSession !== entity.requiresSession)
    throw unchangeable("RequiresSession", "requiresDuplicateDetection" in entity ? "Queue" : "Subscription");
  if (entity.requiresSession && entity.forwardTo !== undefined && !("requiresDuplicateDetection" in entity)) {
    throw errors.invalid(`Auto-forwarding is not supported for '${path}', because it requires sessions.`);
  }
  // An existing queue may name itself, as the service's own tests for Python do: its messages end as dead letters.
  for (const target of [entity.forwardTo, entity.forwardDeadLetteredMessagesTo]) if (target !== undefined) assertTarget(target, targets);
}

function assertTarget(target: string, targets: Targets): void {
  try {
    targets.requireSendable(target);
  } catch {
    throw errors.invalid(`SubCode=40400. The auto forwarding destination entity '${target}' does not exist.`);
  }
}

function range(property: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw errors.invalid(
    `${property} is ${value}, but must be from ${least} to ${most}${property.match(/Duration|Window|Idle|Live/) ? " milliseconds" : ""}.`,
  );
}

function unchangeable(property: string, kind: string): Error {
  return errors.invalid(`The value for the ${property} property of an existing ${kind} cannot be changed.`);
}
