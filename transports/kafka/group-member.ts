import { type Assignment, assignPartitions, type GroupMember } from "./assigner.js";
import type { KafkaConnection } from "./connection.js";
import { DriverError } from "./driver.js";
import type { DriverConsumer } from "./driver-consumer.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";

/** How long a fetch waits in the broker when nothing comes: what `resume` and `stop` may take longer, and a heartbeat may come later. */
const MAX_WAIT_MS = 250;
const MAX_BYTES_PER_PARTITION = 128 * 1024;
const MAX_BYTES = 2 * 1024 * 1024;
/** New partitions are noticed within this time. */
const METADATA_MAX_AGE_MS = 30_000;
const LONGEST_HEARTBEAT_MS = 3_000;

/** A member of the group that is not connected yet. */
export function makeMember(
  { connection, options }: ReceiverEnvironment,
  group: string,
  topics: readonly string[],
  passesUndecodable: boolean,
): DriverConsumer {
  return connection.driver.consumer({
    groupId: group,
    topics,
    sessionTimeoutMs: options.sessionTimeoutMs,
    heartbeatIntervalMs: Math.min(LONGEST_HEARTBEAT_MS, Math.ceil(options.sessionTimeoutMs / 4)),
    rebalanceTimeoutMs: options.sessionTimeoutMs * 2,
    maxWaitMs: MAX_WAIT_MS,
    maxBytesPerPartition: MAX_BYTES_PER_PARTITION,
    maxBytes: MAX_BYTES,
    metadataMaxAgeMs: METADATA_MAX_AGE_MS,
    passesUndecodable,
    assign: (members) => assignAmong(members, connection),
  });
}

/** The leader may have to assign topics that it does not read itself, so it asks for all. */
async function assignAmong(members: readonly GroupMember[], connection: KafkaConnection): Promise<ReadonlyMap<string, Assignment>> {
  const topics = [...new Set(members.flatMap((member) => member.topics))];
  const metadata = await connection.admin((admin) => admin.metadata(topics));
  const partitionsOf = new Map<string, readonly number[]>();
  for (const [topic, found] of metadata) {
    if (found instanceof DriverError) continue;
    const partitions = found.map(({ partition }) => partition);
    partitionsOf.set(topic, partitions);
  }
  return assignPartitions(members, partitionsOf);
}
