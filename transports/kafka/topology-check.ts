import { DEFAULT_MAX_MESSAGE_BYTES, type TopicState } from "./topic-directory.js";
import type { PlannedTopic } from "./topology-plan.js";

/** The settings of a topic that are looked at. */
export const CHECKED_SETTINGS: readonly string[] = [
  "cleanup.policy",
  "retention.ms",
  "retention.bytes",
  "max.message.bytes",
  "min.insync.replicas",
];

export interface TopicFindings {
  /** What keeps the promises from being kept: the start fails. */
  readonly wrong: readonly string[];
  /** What an operator should know. */
  readonly doubtful: readonly string[];
}

/**
 * Compares a topic that exists with what it has to be. More partitions than asked are no difference: an operator may add some at any time.
 * @param config `undefined` where we may not look
 * @param brokers how many the cluster has
 */
export function checkTopic(
  planned: PlannedTopic,
  found: TopicState,
  config: Readonly<Record<string, string>> | undefined,
  brokers: number,
): TopicFindings {
  const wrong: string[] = [];
  const doubtful: string[] = [];
  const copies = found.partitions[0]?.replicas.length ?? 0;
  if (planned.partitions > found.partitions.length)
    wrong.push(
      `it has ${found.partitions.length} partitions and should have ${planned.partitions}; add some (kafka-topics.sh --alter), or change the option`,
    );
  if (planned.replication >= 1 && copies !== planned.replication)
    wrong.push(
      `each partition has ${copies} copies and should have ${planned.replication}; reassign them, or change the option replication`,
    );
  if (copies === 1 && brokers > 1)
    doubtful.push("each partition is on one broker alone: what is confirmed is lost with its disk, and nobody can send while it is away");
  if (config) {
    compareConfig(planned, config, wrong, doubtful);
    checkInSync(Number(config["min.insync.replicas"] ?? "1"), copies, wrong, doubtful);
  }
  return { wrong, doubtful };
}

function compareConfig(planned: PlannedTopic, config: Readonly<Record<string, string>>, wrong: string[], doubtful: string[]): void {
  const isCompacted = /compact/.test(config["cleanup.policy"] ?? "");
  if (planned.kind === "messages") {
    if (isCompacted)
      doubtful.push("cleanup.policy is compact: of the messages with one partition key only the last is kept, handled or not");
    return;
  }
  if (isCompacted) wrong.push('cleanup.policy is "compact" and should be "delete": copies with one key would be lost');
  for (const name of ["retention.ms", "retention.bytes"]) {
    if (config[name] !== undefined && config[name] !== "-1")
      wrong.push(`${name} is ${config[name]} and should be -1: what nobody has decided about would be deleted`);
  }
  const wanted = Number(planned.config["max.message.bytes"]);
  const limit = Number(config["max.message.bytes"] ?? wanted);
  const difference = `max.message.bytes is ${limit} and should be ${wanted}: a copy is larger than its message`;
  // What the bus sends by itself fits into Kafka's default with its failure; so a limit that somebody raised elsewhere need not end the service.
  if (limit < Math.min(wanted, DEFAULT_MAX_MESSAGE_BYTES)) wrong.push(difference);
  else if (limit < wanted) doubtful.push(difference);
}

function checkInSync(needed: number, copies: number, wrong: string[], doubtful: string[]): void {
  if (needed > copies)
    wrong.push(`min.insync.replicas is ${needed}, but there are ${copies} copies of each partition: nothing can be sent there`);
  else if (copies > 1 && needed === 1)
    doubtful.push(
      `min.insync.replicas is 1: a message may be confirmed while a single one of ${copies} brokers has it; set it to ${copies > 2 ? copies - 1 : copies}`,
    );
  else if (copies > 1 && needed === copies && copies > 2)
    doubtful.push(`min.insync.replicas is ${needed}, as many as there are copies: nothing can be sent while one broker is away`);
}
