import type { TopicRole } from "./assigned-partition.js";
import { type Assignment, assignPartitions, type GroupMember, type TypesByTopic } from "./assigner.js";
import { DriverError } from "./driver.js";
import type { DriverConsumer } from "./driver-consumer.js";
import type { ReaderPurpose } from "./reader-purpose.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

/** How long a fetch waits in the broker when nothing comes: what `resume` and `stop` may take longer, and a heartbeat may come later. */
const MAX_WAIT_MS = 250;
const MAX_BYTES_PER_PARTITION = 128 * 1024;
const MAX_BYTES = 2 * 1024 * 1024;
/** New partitions are noticed within this time. */
const METADATA_MAX_AGE_MS = 30_000;
/** A member hears of a rebalance by its heartbeat, and everybody waits for the last one: so often that instances that come and go hold the others up little. */
const LONGEST_HEARTBEAT_MS = 1_000;
const HEARTBEATS_IN_A_SESSION = 10;

/** A retry topic is asked for so often at least: who counts what waits sees it move. */
const LONGEST_REST_MS = 1_000;

/** How long a member may take to be given its part: the group waits for those that died until their sessions are over, and again when another dies meanwhile. */
export function longestJoin({ sessionTimeoutMs }: ReceiverEnvironment["options"], atLeastMs: number): number {
  return Math.max(atLeastMs, 3 * sessionTimeoutMs);
}

/** A member of the group that is not connected yet. */
export function makeMember(
  environment: ReceiverEnvironment,
  { group, unassigned }: Pick<ReaderPurpose, "group" | "unassigned">,
  roles: readonly TopicRole[],
  passesUndecodable: boolean,
): DriverConsumer {
  const { connection, options } = environment;
  return connection.driver.consumer({
    groupId: group,
    topics: roles.map(({ topic }) => topic),
    types: typesOf(roles),
    rests: restsOf(roles),
    sessionTimeoutMs: options.sessionTimeoutMs,
    heartbeatIntervalMs: Math.min(LONGEST_HEARTBEAT_MS, Math.ceil(options.sessionTimeoutMs / HEARTBEATS_IN_A_SESSION)),
    rebalanceTimeoutMs: options.sessionTimeoutMs * 2,
    maxWaitMs: MAX_WAIT_MS,
    maxBytesPerPartition: MAX_BYTES_PER_PARTITION,
    maxBytes: MAX_BYTES,
    metadataMaxAgeMs: METADATA_MAX_AGE_MS,
    passesUndecodable,
    assign: (members) => assignAmong(members, environment, group, unassigned),
  });
}

function typesOf(roles: readonly TopicRole[]): TypesByTopic {
  const shared = new Map<string, readonly string[]>();
  for (const { topic, types } of roles) if (types) shared.set(topic, [...types]);
  return shared;
}

/** Each retry topic is asked for twice in its delay, so that what comes at any time is here before it is due. */
function restsOf(roles: readonly TopicRole[]): ReadonlyMap<string, number> {
  const rests = new Map<string, number>();
  for (const { topic, retryDelayMs = 0 } of roles) {
    const restMs = Math.min(LONGEST_REST_MS, retryDelayMs / 2 - MAX_WAIT_MS);
    if (restMs > 0) rests.set(topic, restMs);
  }
  return rests;
}

/**
 * The leader may have to assign topics that it does not read itself, so it asks for all. @throws DriverError when one cannot be looked at now: left out, it would
 * be read by nobody until the group is shared out again
 */
async function assignAmong(
  members: readonly GroupMember[],
  { connection, logger }: ReceiverEnvironment,
  group: string,
  unassigned: ReaderPurpose["unassigned"],
): Promise<ReadonlyMap<string, Assignment>> {
  const topics = [...new Set(members.flatMap((member) => member.topics))];
  const metadata = await connection.admin((admin) => admin.metadata(topics));
  const partitionsOf = new Map<string, readonly number[]>();
  const missing: string[] = [];
  for (const topic of topics) {
    const found = metadata.get(topic);
    if (found instanceof DriverError && found.kind !== "no-topic") throw found;
    if (!found || found instanceof DriverError) missing.push(topic);
    else
      partitionsOf.set(
        topic,
        found.map(({ partition }) => partition),
      );
  }
  unassigned?.(missing);
  return assignPartitions(members, partitionsOf, (topic) => {
    logger.warn(
      `The instances in the group "${group}" handle different types of the topic "${topic}", and none of them all: each passes over what others handle. Take a type away in a later deployment than that which adds one.`,
    );
  });
}
