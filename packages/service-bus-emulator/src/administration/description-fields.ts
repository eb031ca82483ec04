import type { AuthorizationRule, QueueDescription, SubscriptionDescription, TopicDescription } from "../broker/descriptions.js";

/** How a property is written: an ISO 8601 duration, a number, a flag, text, the name of a queue or topic, the entity's own keys. */
export type FieldType = "duration" | "integer" | "boolean" | "text" | "entity" | "keys";

/** An XML element and the property that it holds. */
export interface Field<D> {
  readonly element: string;
  readonly key: keyof D & string;
  readonly type: FieldType;
}

/** The element's name is the property's, with a capital letter. */
function fields<D>(types: Readonly<Record<keyof D & string, FieldType>>): Field<D>[] {
  return (Object.entries(types) as [keyof D & string, FieldType][]).map(([key, type]) => ({
    element: key.charAt(0).toUpperCase() + key.slice(1),
    key,
    type,
  }));
}

/** In the order in which the service writes them. */
export const QUEUE_FIELDS: readonly Field<QueueDescription>[] = fields<QueueDescription>({
  lockDuration: "duration",
  maxSizeInMegabytes: "integer",
  requiresDuplicateDetection: "boolean",
  requiresSession: "boolean",
  defaultMessageTimeToLive: "duration",
  deadLetteringOnMessageExpiration: "boolean",
  duplicateDetectionHistoryTimeWindow: "duration",
  maxDeliveryCount: "integer",
  enableBatchedOperations: "boolean",
  authorizationRules: "keys",
  status: "text",
  forwardTo: "entity",
  userMetadata: "text",
  autoDeleteOnIdle: "duration",
  enablePartitioning: "boolean",
  forwardDeadLetteredMessagesTo: "entity",
  enableExpress: "boolean",
  maxMessageSizeInKilobytes: "integer",
});

/** As {@link QUEUE_FIELDS}. */
export const TOPIC_FIELDS: readonly Field<TopicDescription>[] = fields<TopicDescription>({
  defaultMessageTimeToLive: "duration",
  maxSizeInMegabytes: "integer",
  requiresDuplicateDetection: "boolean",
  duplicateDetectionHistoryTimeWindow: "duration",
  enableBatchedOperations: "boolean",
  filteringMessagesBeforePublishing: "boolean",
  authorizationRules: "keys",
  status: "text",
  userMetadata: "text",
  supportOrdering: "boolean",
  autoDeleteOnIdle: "duration",
  enablePartitioning: "boolean",
  enableExpress: "boolean",
  maxMessageSizeInKilobytes: "integer",
});

/** As {@link QUEUE_FIELDS}. */
export const SUBSCRIPTION_FIELDS: readonly Field<SubscriptionDescription>[] = fields<SubscriptionDescription>({
  lockDuration: "duration",
  requiresSession: "boolean",
  defaultMessageTimeToLive: "duration",
  deadLetteringOnMessageExpiration: "boolean",
  deadLetteringOnFilterEvaluationExceptions: "boolean",
  maxDeliveryCount: "integer",
  enableBatchedOperations: "boolean",
  status: "text",
  forwardTo: "entity",
  userMetadata: "text",
  forwardDeadLetteredMessagesTo: "entity",
  autoDeleteOnIdle: "duration",
});

export type FieldValue = string | number | boolean | readonly AuthorizationRule[] | undefined;
