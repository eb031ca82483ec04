import { Delays } from "./delays.js";
import { queueName } from "./mapping.js";
import type { MemoryOptions } from "./options.js";
import { EndpointQueue } from "./queue.js";

/**
 * The broker: what in RabbitMQ would be a server. Every connection of it sees the same queues. It does nothing by itself; queues
 * hand out in turns of the event loop that they schedule, and one timer serves all delays.
 */
export class Broker {
  readonly options: Required<MemoryOptions>;
  readonly #delays = new Delays();
  #nextTurn: Promise<void> | undefined;
  readonly #namespaces = new Map<string, Namespace>();

  constructor(options: Required<MemoryOptions>) {
    this.options = options;
  }

  /** Resolves in the next turn of the event loop: one promise for all who ask in this one. */
  nextTurn(): Promise<void> {
    this.#nextTurn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#nextTurn = undefined;
        resolve();
      });
    });
    return this.#nextTurn;
  }

  /** The names under one `namePrefix`: environments and tenants do not see each other. */
  namespace(prefix: string): Namespace {
    let namespace = this.#namespaces.get(prefix);
    if (!namespace) {
      namespace = new Namespace(prefix, this.options.maxQueueLength, this.#delays);
      this.#namespaces.set(prefix, namespace);
    }
    return namespace;
  }
}

/**
 * The event types and endpoints of one `namePrefix`. Kept apart by maps instead of by longer names, so that sending looks up
 * the user's own name and joins no text.
 */
export class Namespace {
  /** Event type to the queues of the endpoints that have subscribed. */
  readonly subscriptions: Map<string, EndpointQueue[]> = new Map();
  /** Endpoint to its queue. */
  readonly queues: Map<string, EndpointQueue> = new Map();
  readonly #prefix: string;
  readonly #maxQueueLength: number;
  readonly #delays: Delays;

  constructor(prefix: string, maxQueueLength: number, delays: Delays) {
    this.#prefix = prefix;
    this.#maxQueueLength = maxQueueLength;
    this.#delays = delays;
  }

  /** Makes the event type unless it exists, and returns its subscribers. */
  declareEvent(type: string): EndpointQueue[] {
    let subscribers = this.subscriptions.get(type);
    if (!subscribers) {
      subscribers = [];
      this.subscriptions.set(type, subscribers);
    }
    return subscribers;
  }

  /** Makes the endpoint's queue unless it exists. An existing one keeps its order. */
  declareQueue(endpoint: string, order: "key" | "none"): EndpointQueue {
    let queue = this.queues.get(endpoint);
    if (!queue) {
      queue = new EndpointQueue(queueName(this.#prefix, endpoint), order, this.#maxQueueLength, this.#delays);
      this.queues.set(endpoint, queue);
    }
    return queue;
  }
}
