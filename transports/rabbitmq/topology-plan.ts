import type { EndpointPlan, TopologyPlan } from "../../src/contracts/transport.js";
import type { Names } from "./mapping.js";

/** One queue as it has to be. The arguments are for ever: a changed one makes RabbitMQ refuse the queue (406). */
export interface QueueSpec {
  readonly name: string;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
}
export interface BindingSpec {
  readonly exchange: string;
  readonly queue: string;
}
/** What has to be in the broker. All exchanges are durable and fanout, all queues durable quorum queues. */
export interface BrokerTopology {
  readonly exchanges: readonly string[];
  readonly queues: readonly QueueSpec[];
  readonly bindings: readonly BindingSpec[];
  /** Taken away when they are there. */
  readonly unbindings: readonly BindingSpec[];
}

/**
 * Deliveries after which the broker itself dead-letters: only a net, for what no client can read, far above what the bus needs to find a message that
 * kills processes. Every lost connection counts as a delivery of all that was held; before an innocent message comes near, it is stored anew
 * ({@link RENEW_AFTER}).
 */
export const DELIVERY_LIMIT = 50;
/** From so many deliveries on a message is replaced by a copy of itself, at the end of its queue, whose count begins anew. */
export const RENEW_AFTER = 40;
/**
 * The same with `order: "key"`, where a copy would lose its place: higher than the 13 deaths that each of 31 culprits before it in a prefetch of 32 may
 * cost a message that is held behind them, with as many again for lost connections.
 */
export const ORDERED_DELIVERY_LIMIT = 1_000;
/**
 * For queues where the limit must not bite, since looking at a dead letter counts as a delivery. Not `-1`, which is "none" on 4.x and
 * "at once" on 3.10.
 */
export const NO_DELIVERY_LIMIT = 2_147_483_647;

/** Names, types and arguments of everything that `plan` needs. */
export function topologyOf(plan: TopologyPlan, names: Names): BrokerTopology {
  const exchanges = new Set(plan.events.map((type) => names.exchange(type)));
  const queues: QueueSpec[] = [];
  const bindings: BindingSpec[] = [];
  const unbindings: BindingSpec[] = [];
  for (const endpoint of plan.endpoints) {
    const queue = names.queue(endpoint.name);
    queues.push(...queuesOf(endpoint, names));
    for (const type of endpoint.subscribed) {
      exchanges.add(names.exchange(type));
      bindings.push({ exchange: names.exchange(type), queue });
    }
    for (const type of endpoint.unsubscribed) unbindings.push({ exchange: names.exchange(type), queue });
  }
  return { exchanges: [...exchanges], queues, bindings, unbindings };
}

/** The endpoint's own queue comes last: what it dead-letters to must be there before. */
function queuesOf(endpoint: EndpointPlan, names: Names): readonly QueueSpec[] {
  const { name, retryDelaysMs, order } = endpoint;
  const queue = names.queue(name);
  const deadLetterQueue = names.deadLetterQueue(name);
  return [
    { name: deadLetterQueue, arguments: { "x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT } },
    {
      name: names.suspectQueue(name),
      arguments: { "x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT, ...deadLetteringTo(deadLetterQueue) },
    },
    { name: names.runsQueue(name), arguments: { "x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT } },
    // The delays of an ordered endpoint are waited for in the process, so that a message never leaves its place.
    ...(order === "key" ? [] : retryDelaysMs).map((delayMs) => ({
      name: names.retryQueue(name, delayMs),
      arguments: { "x-queue-type": "quorum", "x-message-ttl": delayMs, ...deadLetteringTo(queue) },
    })),
    {
      name: queue,
      arguments: {
        "x-queue-type": "quorum",
        "x-delivery-limit": order === "key" ? ORDERED_DELIVERY_LIMIT : DELIVERY_LIMIT,
        ...deadLetteringTo(deadLetterQueue),
        ...(order === "key" ? { "x-single-active-consumer": true } : {}),
      },
    },
  ];
}

// The broker's default, "at-most-once", drops what cannot be delivered; "at-least-once" works only together with "reject-publish".
function deadLetteringTo(queue: string): Readonly<Record<string, string>> {
  return {
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": queue,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
  };
}
