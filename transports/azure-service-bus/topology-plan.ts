import type { EndpointPlan, TopologyPlan } from "../../src/contracts/transport.js";
import type { Names } from "./mapping.js";

/** One queue as it has to be. What is not here may be as it likes. */
export interface QueueSpec {
  readonly name: string;
  /** For ever: it can never be changed. */
  readonly requiresSession: boolean;
  readonly lockDurationMs: number;
  readonly maxDeliveryCount: number;
  /** A queue that is there may have less, but no less than this: what was made is not changed. */
  readonly leastDeliveryCount: number;
}
/** A subscription that forwards what its topic gets to a queue. */
export interface SubscriptionSpec {
  readonly topic: string;
  readonly name: string;
  readonly forwardTo: string;
}
/** What has to be in the namespace. */
export interface NamespaceTopology {
  readonly queues: readonly QueueSpec[];
  readonly topics: readonly string[];
  readonly subscriptions: readonly SubscriptionSpec[];
  /** Taken away when they are there. */
  readonly unsubscribed: readonly SubscriptionSpec[];
}

/**
 * Deliveries after which the broker itself dead-letters what is in sessions: only a net, far above what the bus needs to find a message that kills
 * processes. Every lock that ends counts as a delivery of all that was held.
 */
export const DELIVERY_LIMIT = 50;
/**
 * The largest that the service takes. Without sessions the bus counts by itself: the broker counts also what a process gives back when it stops,
 * so that any limit is one of clean stops too.
 */
export const NO_DELIVERY_LIMIT = 2_147_483_647;
/** Of the suspects of an endpoint, which are given out far oftener than others. */
const LEAST_OF_SUSPECTS = 1_000;
/** The longest time to live, and time without use before a deletion: never. */
export const FOREVER = "P10675199DT2H48M5.4775807S";

/** Names and settings of everything that `plan` needs. */
export function topologyOf(plan: TopologyPlan, names: Names, lockDurationMs: number): NamespaceTopology {
  const topics = new Set(plan.events.map((type) => names.topic(type)));
  const queues: QueueSpec[] = [];
  const subscriptions: SubscriptionSpec[] = [];
  const unsubscribed: SubscriptionSpec[] = [];
  for (const endpoint of plan.endpoints) {
    queues.push(...queuesOf(endpoint, names, lockDurationMs));
    const subscription = (type: string): SubscriptionSpec => ({
      topic: names.topic(type),
      name: names.subscription(endpoint.name),
      forwardTo: names.queue(endpoint.name),
    });
    for (const type of endpoint.subscribed) {
      topics.add(names.topic(type));
      subscriptions.push(subscription(type));
    }
    for (const type of endpoint.unsubscribed) unsubscribed.push(subscription(type));
  }
  return { queues, topics: [...topics], subscriptions, unsubscribed };
}

/** An ordered endpoint keeps its suspects in their place, and needs no queue for them. */
function queuesOf({ name, order }: EndpointPlan, names: Names, lockDurationMs: number): readonly QueueSpec[] {
  const isOrdered = order === "key";
  const queue: QueueSpec = {
    name: names.queue(name),
    requiresSession: isOrdered,
    lockDurationMs,
    maxDeliveryCount: isOrdered ? DELIVERY_LIMIT : NO_DELIVERY_LIMIT,
    leastDeliveryCount: DELIVERY_LIMIT,
  };
  if (isOrdered) return [queue];
  return [{ ...queue, name: names.suspectQueue(name), leastDeliveryCount: LEAST_OF_SUSPECTS }, queue];
}
