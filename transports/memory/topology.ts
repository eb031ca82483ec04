import type { EndpointPlan, TopologyPlan } from "../../src/contracts/transport.js";
import type { Namespace } from "./broker.js";
import { MemoryTransportError } from "./errors.js";

/**
 * Makes what the plan names, or nothing at all when an endpoint exists with another `order`.
 * @throws MemoryTransportError "topology" naming every such endpoint.
 */
export function createTopology(namespace: Namespace, plan: TopologyPlan): void {
  throwDifferences(
    plan.endpoints.flatMap((endpoint) => orderDifference(namespace, endpoint) ?? []),
    "cannot be changed",
  );
  for (const type of plan.events) namespace.declareEvent(type);
  for (const endpoint of plan.endpoints) {
    const queue = namespace.declareQueue(endpoint.name, endpoint.order);
    for (const type of endpoint.subscribed) {
      const subscribers = namespace.declareEvent(type);
      if (!subscribers.includes(queue)) subscribers.push(queue);
    }
    for (const type of endpoint.unsubscribed) {
      const subscribers = namespace.subscriptions.get(type);
      const index = subscribers?.indexOf(queue) ?? -1;
      if (index >= 0) subscribers?.splice(index, 1);
    }
  }
}

/**
 * Compares what the plan names with what is there, and changes nothing.
 * @throws MemoryTransportError "topology" naming every difference.
 */
export function verifyTopology(namespace: Namespace, plan: TopologyPlan): void {
  const differences: string[] = [];
  const subscribed = plan.endpoints.flatMap((endpoint) => endpoint.subscribed);
  for (const type of new Set([...plan.events, ...subscribed])) {
    if (!namespace.subscriptions.has(type)) differences.push(`The event type "${type}" does not exist.`);
  }
  for (const endpoint of plan.endpoints) differences.push(...endpointDifferences(namespace, endpoint));
  throwDifferences(differences, 'is not as planned, and topology: "verify" changes nothing');
}

/** The text of the difference in `order`, which an existing endpoint never changes; `undefined` when there is none. */
export function orderDifference(namespace: Namespace, endpoint: EndpointPlan): string | undefined {
  const queue = namespace.queues.get(endpoint.name);
  if (!queue || queue.order === endpoint.order) return undefined;
  return (
    `The endpoint "${endpoint.name}" exists with order: "${queue.order}" and is now asked for with order: "${endpoint.order}", ` +
    "which is fixed when an endpoint is made. Give the endpoint another name, or the order that it has."
  );
}

function endpointDifferences(namespace: Namespace, endpoint: EndpointPlan): string[] {
  const queue = namespace.queues.get(endpoint.name);
  if (!queue) return [`The endpoint "${endpoint.name}" does not exist.`];
  const differences: string[] = [];
  const order = orderDifference(namespace, endpoint);
  if (order !== undefined) differences.push(order);
  for (const type of endpoint.subscribed) {
    if (!namespace.subscriptions.get(type)?.includes(queue)) {
      differences.push(`The endpoint "${endpoint.name}" has no subscription to "${type}".`);
    }
  }
  for (const type of endpoint.unsubscribed) {
    if (namespace.subscriptions.get(type)?.includes(queue)) {
      differences.push(`The endpoint "${endpoint.name}" still has a subscription to "${type}".`);
    }
  }
  return differences;
}

function throwDifferences(differences: readonly string[], what: string): void {
  if (differences.length === 0) return;
  const list = differences.map((difference) => `\n  - ${difference}`).join("");
  throw new MemoryTransportError("topology", `The topology in the memory broker ${what}:${list}`, false);
}
