import type { QueuedMessage } from "../broker/queued-message.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import { type EntityRecord, readEntityRecord } from "./entity-record.js";
import type { Record } from "./record-codec.js";

/** What the files of a data folder say, taken together. */
export class RecoveredState {
  readonly #entities = new Map<number, EntityRecord>();
  readonly #queues = new Map<number, RecoveredQueue>();

  apply(record: Record): void {
    switch (record.kind) {
      case "added":
        this.#queue(record.queue).add(record.message);
        break;
      case "changed": {
        const message = this.#queue(record.queue).messages.get(record.sequence);
        if (!message) break;
        message.deliveryCount = record.deliveryCount;
        message.state = record.state;
        if (record.bare) message.bare = record.bare;
        break;
      }
      case "removed":
        this.#queue(record.queue).messages.delete(record.sequence);
        break;
      case "session":
        this.#queue(record.queue).sessions.set(record.id, { state: record.state, at: record.at });
        break;
      case "duplicate":
        this.#queue(record.queue).duplicates.set(record.key, record.at);
        break;
      case "entity": {
        const entity = readEntityRecord(record.json);
        this.#entities.set(entity.id, entity);
        break;
      }
      case "entity-removed":
        this.#entities.delete(record.id);
        break;
      case "sequence":
        this.#queue(record.queue).noteSequence(record.sequence);
        break;
      case "end":
    }
  }

  /** Makes the entities, then puts the messages into them. */
  restore(namespace: ServiceBusNamespace): void {
    for (const entity of this.#entities.values()) {
      if (entity.kind === "queue") Object.assign(namespace.addQueue(entity.id, entity.name, entity.description), timesOf(entity));
      if (entity.kind === "topic") Object.assign(namespace.addTopic(entity.id, entity.name, entity.description), timesOf(entity));
    }
    for (const entity of this.#entities.values()) {
      const topic = entity.kind === "subscription" ? namespace.findTopic(entity.topic) : undefined;
      if (entity.kind !== "subscription" || !topic) continue;
      Object.assign(namespace.addSubscription(entity.id, topic, entity.name, entity.description, entity.rules), timesOf(entity));
    }
    for (const intake of [...namespace.queues, ...namespace.topics]) {
      const seen = [...(this.#queues.get(intake.id)?.duplicates ?? [])].sort(([, a], [, b]) => a - b);
      for (const [key, at] of seen) intake.intake.history.restore(key, at);
    }
    for (const queue of namespace.messageQueues()) {
      const recovered = this.#queues.get(queue.id);
      if (!recovered) continue;
      for (const message of recovered.inOrder()) queue.restore(message);
      queue.store.continueFrom(recovered.lastSequence);
      for (const [id, { state, at }] of recovered.sessions) queue.sessions?.setState(id, state, at);
      queue.sessions?.reconsiderAll();
    }
  }

  /** Lets go of what was restored. */
  clear(): void {
    this.#entities.clear();
    this.#queues.clear();
  }

  #queue(id: number): RecoveredQueue {
    let queue = this.#queues.get(id);
    if (!queue) {
      queue = new RecoveredQueue();
      this.#queues.set(id, queue);
    }
    return queue;
  }
}

class RecoveredQueue {
  readonly messages = new Map<number, QueuedMessage>();
  readonly sessions = new Map<string, { readonly state: Buffer | undefined; readonly at: number }>();
  readonly duplicates = new Map<string, number>();
  lastSequence = 0;

  add(message: QueuedMessage): void {
    this.messages.set(message.sequence, message);
    this.noteSequence(message.sequence);
  }

  noteSequence(sequence: number): void {
    this.lastSequence = Math.max(this.lastSequence, sequence);
  }

  inOrder(): QueuedMessage[] {
    return [...this.messages.values()].sort((a, b) => a.sequence - b.sequence);
  }
}

function timesOf({ createdAt, updatedAt }: EntityRecord): { readonly createdAt: number; readonly updatedAt: number } {
  return { createdAt, updatedAt };
}
