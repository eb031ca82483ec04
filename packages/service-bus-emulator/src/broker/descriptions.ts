import type { Right, RuleDescription } from "./contracts.js";

/**
 * What is configured about entities: the properties of the administration API. Durations are milliseconds.
 * Defaults are those of Azure (https://learn.microsoft.com/azure/templates/microsoft.servicebus/namespaces/queues, .../topics,
 * .../topics/subscriptions).
 */

/** .NET's TimeSpan.MaxValue, "P10675199DT2H48M5.4775807S": never. */
export const MAX_DURATION = 922_337_203_685_477;

/** Tiers of Service Bus; "Basic" has queues alone, without sessions, duplicate detection and forwarding. */
export type Tier = "Basic" | "Standard" | "Premium";

export type EntityStatus = "Active" | "Disabled" | "SendDisabled" | "ReceiveDisabled";

/** A key of one entity. */
export interface AuthorizationRule {
  readonly keyName: string;
  readonly rights: readonly Right[];
  readonly primaryKey: string;
  readonly secondaryKey: string;
  /** Epoch milliseconds, as the client said; the service keeps none of its own. */
  readonly createdTime?: number | undefined;
  readonly modifiedTime?: number | undefined;
}

interface EntityDescription {
  /** Time to live of messages that have none, and cap of the others. */
  readonly defaultMessageTimeToLive: number;
  /** How long it must be unused to be deleted; {@link MAX_DURATION} never, else at least 5 minutes. */
  readonly autoDeleteOnIdle: number;
  readonly status: EntityStatus;
  readonly userMetadata: string | undefined;
  /** Accepted and answered; it changes nothing here. */
  readonly enableBatchedOperations: boolean;
}

/** What a queue and a topic have in common. */
interface SendableDescription extends EntityDescription {
  /** Bytes that it holds before it refuses messages: 1024 MB and more. */
  readonly maxSizeInMegabytes: number;
  /** Kilobytes of one message: 256 (Basic, Standard), 1024 to 102400 (Premium). */
  readonly maxMessageSizeInKilobytes: number;
  readonly requiresDuplicateDetection: boolean;
  readonly duplicateDetectionHistoryTimeWindow: number;
  readonly authorizationRules: readonly AuthorizationRule[];
  /** Accepted and answered; there are no partitions here. */
  readonly enablePartitioning: boolean;
  /** Accepted and answered; it changes nothing here. */
  readonly enableExpress: boolean;
}

/** What a queue and a subscription have in common. */
interface ReceivableDescription extends EntityDescription {
  /** At most 5 minutes. */
  readonly lockDuration: number;
  readonly requiresSession: boolean;
  readonly deadLetteringOnMessageExpiration: boolean;
  readonly maxDeliveryCount: number;
  /** Name of a queue or topic. */
  readonly forwardTo: string | undefined;
  readonly forwardDeadLetteredMessagesTo: string | undefined;
}

export interface QueueDescription extends SendableDescription, ReceivableDescription {}

export interface TopicDescription extends SendableDescription {
  readonly supportOrdering: boolean;
  /** Accepted and answered; it changes nothing here. */
  readonly filteringMessagesBeforePublishing: boolean;
}

export interface SubscriptionDescription extends ReceivableDescription {
  readonly deadLetteringOnFilterEvaluationExceptions: boolean;
}

const MINUTE = 60_000;

const ENTITY = {
  defaultMessageTimeToLive: MAX_DURATION,
  autoDeleteOnIdle: MAX_DURATION,
  status: "Active",
  userMetadata: undefined,
  enableBatchedOperations: true,
} as const;

const SENDABLE = {
  maxSizeInMegabytes: 1024,
  maxMessageSizeInKilobytes: 256,
  requiresDuplicateDetection: false,
  duplicateDetectionHistoryTimeWindow: 10 * MINUTE,
  authorizationRules: [],
  enablePartitioning: false,
  enableExpress: false,
} as const;

const RECEIVABLE = {
  lockDuration: MINUTE,
  requiresSession: false,
  deadLetteringOnMessageExpiration: false,
  maxDeliveryCount: 10,
  forwardTo: undefined,
  forwardDeadLetteredMessagesTo: undefined,
} as const;

export const DEFAULT_QUEUE: QueueDescription = { ...ENTITY, ...SENDABLE, ...RECEIVABLE };
export const DEFAULT_TOPIC: TopicDescription = { ...ENTITY, ...SENDABLE, supportOrdering: true, filteringMessagesBeforePublishing: false };
export const DEFAULT_SUBSCRIPTION: SubscriptionDescription = { ...ENTITY, ...RECEIVABLE, deadLetteringOnFilterEvaluationExceptions: true };

/** Kilobytes of one message in a Premium namespace, where nothing is said. */
const PREMIUM_MESSAGE_KILOBYTES = 1024;

/** The defaults of a queue or topic in a tier (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-premium-messaging#large-messages-support). */
export const inTier = <D extends QueueDescription | TopicDescription>(usual: D, tier: Tier): D =>
  tier === "Premium" ? { ...usual, maxMessageSizeInKilobytes: PREMIUM_MESSAGE_KILOBYTES } : usual;

/** The rule of a subscription that was created without one (https://learn.microsoft.com/azure/service-bus-messaging/topic-filters). */
export const DEFAULT_RULE: RuleDescription = { name: "$Default", filter: { kind: "true" }, action: undefined };
