import type { Journal } from "./journal.js";
import type { QueueEntity } from "./queue-entity.js";
import type { SubscriptionEntity } from "./subscription-entity.js";
import type { TopicEntity } from "./topic-entity.js";

/** The same with what the namespace has. */
export interface NamespaceJournal extends Journal {
  /** An entity was created or updated, or its rules were changed. */
  entityStored(entity: QueueEntity | TopicEntity | SubscriptionEntity): void;
  entityRemoved(id: number): void;
}
