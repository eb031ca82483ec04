import type { TopologyPlan } from "../../src/contracts/transport.js";
import type { Names } from "./mapping.js";

/** One topic as it has to be. */
export interface PlannedTopic {
  readonly topic: string;
  /** "copies": of retries or dead letters, which are kept until the bus deletes them, and are larger than what they were made of. */
  readonly kind: "messages" | "copies";
  /** -1: the cluster's own. */
  readonly partitions: number;
  /** -1: the cluster's own. */
  readonly replication: number;
  readonly config: Readonly<Record<string, string>>;
}

/** What the options say about topics that are made. */
export interface TopicSettings {
  readonly partitions: number;
  readonly replication: number;
  /** -1: unlimited; `undefined`: the cluster's own. */
  readonly retentionMs: number | undefined;
}

/** What a copy takes beside the message: the failure's headers, at most 8 KiB, many times over. */
export const COPY_ROOM: number = 64 * 1024;
const UNLIMITED = "-1";

/**
 * Everything that `plan` needs. @param limitOf `max.message.bytes` of a topic of messages, as it is or will be
 */
export function topologyOf(
  plan: TopologyPlan,
  names: Names,
  settings: TopicSettings,
  limitOf: (topic: string) => number,
): readonly PlannedTopic[] {
  const { partitions, replication, retentionMs } = settings;
  const planned = new Map<string, PlannedTopic>();
  const add = (topic: string, kind: PlannedTopic["kind"], config: Readonly<Record<string, string>>): void => {
    // Said also where it is Kafka's default: a cluster may have another, and what it compacts is lost.
    planned.set(topic, { topic, kind, partitions, replication, config: { "cleanup.policy": "delete", ...config } });
  };
  const addMessages = (topic: string): void =>
    add(topic, "messages", retentionMs === undefined ? {} : { "retention.ms": String(retentionMs) });
  for (const topic of messageTopicsOf(plan, names)) addMessages(topic);
  for (const endpoint of plan.endpoints) {
    const sources = [names.topicOfEndpoint(endpoint.name), ...endpoint.subscribed.map((type) => names.topicOfType(type))];
    const limit = Math.max(...sources.map(limitOf)) + COPY_ROOM;
    const config = { "retention.ms": UNLIMITED, "retention.bytes": UNLIMITED, "max.message.bytes": String(limit) };
    // The delays of an ordered endpoint are waited for in the process, so that a message never leaves its place.
    for (const delayMs of endpoint.order === "key" ? [] : endpoint.retryDelaysMs)
      add(names.retryTopic(endpoint.name, delayMs), "copies", config);
    add(names.deadLetterTopic(endpoint.name), "copies", config);
  }
  return [...planned.values()];
}

/** The topics of events and commands in `plan`. */
export function messageTopicsOf(plan: TopologyPlan, names: Names): ReadonlySet<string> {
  const topics = new Set(plan.events.map((type) => names.topicOfType(type)));
  for (const endpoint of plan.endpoints) {
    topics.add(names.topicOfEndpoint(endpoint.name));
    for (const type of endpoint.subscribed) topics.add(names.topicOfType(type));
  }
  return topics;
}

/** What cannot be told apart: an event topic (`topics`) that is the topic of an endpoint's commands. @returns a sentence for each */
export function clashesIn(plan: TopologyPlan, names: Names): readonly string[] {
  const types = new Set([...plan.events, ...plan.endpoints.flatMap(({ subscribed }) => subscribed)]);
  return plan.endpoints.flatMap(({ name }) =>
    [...types]
      .filter((type) => names.topicOfType(type) === names.topicOfEndpoint(name))
      .map((type) => `type "${type}" is put on the topic "${names.topicOfEndpoint(name)}", where the commands to endpoint "${name}" are`),
  );
}
