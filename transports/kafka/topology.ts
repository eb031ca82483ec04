import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { KafkaConnection } from "./connection.js";
import { DriverError } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";
import type { TopicDirectory, TopicState } from "./topic-directory.js";
import { CHECKED_SETTINGS, checkTopic } from "./topology-check.js";
import type { PlannedTopic } from "./topology-plan.js";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;
/** A topic that was made, by whomever, has leaders by then. */
const LEADERS_WITHIN_MS = 30_000;
/** Failures of the cluster itself (a controller that moves, a deletion that goes on) that are tried again. */
const MAX_FAILURES = 10;

/** What was found, topic by topic, and told at once. */
interface Findings {
  readonly wrong: string[];
  readonly doubtful: Map<string, string[]>;
}

/**
 * Makes or compares what is wanted. Safe against other instances that do the same. @throws KafkaError "topology" naming every difference or
 * missing right; "unavailable" when the cluster keeps failing
 */
export async function applyTopology(
  connection: KafkaConnection,
  directory: TopicDirectory,
  wanted: readonly PlannedTopic[],
  mode: "create" | "verify",
  logger: Logger,
): Promise<void> {
  if (wanted.length === 0) return;
  const brokers = (await asked(connection, () => connection.admin((admin) => admin.brokers()))).length;
  const findings: Findings = { wrong: [], doubtful: new Map() };
  await Promise.all(wanted.map((planned) => apply(connection, directory, planned, mode, brokers, findings)));
  for (const [text, topics] of findings.doubtful) logger.warn(`Kafka, topic ${topics.sort().join(", ")}: ${text}.`);
  if (findings.wrong.length === 0) return;
  const headline =
    mode === "create" ? "The topics in Kafka cannot be as they have to be" : "The topics in Kafka are not as they have to be";
  throw new KafkaError(
    "topology",
    `${headline}:\n${findings.wrong
      .sort()
      .map((text) => `  - ${text}`)
      .join("\n")}`,
    { retryable: false },
  );
}

async function apply(
  connection: KafkaConnection,
  directory: TopicDirectory,
  planned: PlannedTopic,
  mode: "create" | "verify",
  brokers: number,
  { wrong, doubtful }: Findings,
): Promise<void> {
  const { topic } = planned;
  let state = await looked(connection, directory, topic, wrong);
  if (state === "failed") return;
  if (!state) {
    if (mode === "verify") {
      wrong.push(`topic ${topic} is not there; make it, or use topology: "create"`);
      return;
    }
    const mistake = await asked(connection, () => create(connection, planned, brokers));
    if (mistake) {
      wrong.push(mistake);
      return;
    }
    state = await withLeaders(connection, directory, topic);
  }
  const config = await configOf(connection, topic);
  const found = checkTopic(planned, state, config, brokers);
  for (const text of found.wrong) wrong.push(`topic ${topic}: ${text}`);
  for (const text of found.doubtful) doubtful.set(text, [...(doubtful.get(text) ?? []), topic]);
}

async function looked(
  connection: KafkaConnection,
  directory: TopicDirectory,
  topic: string,
  wrong: string[],
): Promise<TopicState | "failed" | undefined> {
  try {
    return await asked(connection, () => directory.look(topic));
  } catch (error) {
    if (!(error instanceof KafkaError) || error.retryable) throw error;
    wrong.push(error.message);
    return "failed";
  }
}

/** @returns what is wrong with it, where that is not for the cluster to mend */
async function create(connection: KafkaConnection, planned: PlannedTopic, brokers: number): Promise<string | undefined> {
  const { topic, partitions, replication, config } = planned;
  try {
    await connection.admin((admin) => admin.createTopic({ topic, partitions, replication, config }));
    return undefined;
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    if (error.kind === "forbidden")
      return `topic ${topic} may not be made: grant CREATE on it or on the cluster (ACL), or have it made and use topology: "verify"`;
    if (error.type === "INVALID_REPLICATION_FACTOR") {
      const asked =
        replication < 0
          ? "as many copies as default.replication.factor of the cluster says"
          : `${replication} copies (the option replication)`;
      return `topic ${topic} needs ${asked}, and the cluster has ${brokers} brokers`;
    }
    if (error.kind === "invalid" || error.type === "POLICY_VIOLATION") return `topic ${topic} is refused: ${textOf(error)}`;
    throw error;
  }
}

/** The answer to a creation comes before the topic can be used, on this broker or another. */
async function withLeaders(connection: KafkaConnection, directory: TopicDirectory, topic: string): Promise<TopicState> {
  const until = performance.now() + LEADERS_WITHIN_MS;
  for (let attempt = 0; ; attempt++) {
    let trouble: unknown;
    try {
      const state = await directory.look(topic);
      // A leader that is named may not know it yet: each is asked for its partitions' ends.
      if (state && (await connection.admin((admin) => admin.offsets(topic, "latest"))).length > 0) return state;
    } catch (error) {
      trouble = error;
    }
    if (connection.isClosing || performance.now() > until)
      throw unavailable(`Topic "${topic}" was made, but cannot be used yet${trouble ? `: ${textOf(trouble)}` : "."}`, trouble);
    await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), connection.closing);
  }
}

/** `undefined` where we may not look: DESCRIBE_CONFIGS is a right of its own, and nothing else needs it. */
async function configOf(connection: KafkaConnection, topic: string): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    return await asked(connection, () => connection.admin((admin) => admin.topicConfig(topic, CHECKED_SETTINGS)));
  } catch (error) {
    if (error instanceof DriverError && (error.kind === "forbidden" || error.kind === "invalid")) return undefined;
    throw error;
  }
}

/** Tries again what may pass by itself. */
async function asked<T>(connection: KafkaConnection, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (connection.isClosing) throw unavailable("The bus was stopped before its topics were there.", error);
      const mayPass = error instanceof DriverError ? !["forbidden", "invalid", "authentication"].includes(error.kind) : isRetryable(error);
      if (!mayPass) throw error;
      if (attempt >= MAX_FAILURES) throw unavailable(`Kafka keeps failing: ${textOf(error)}`, error);
    }
    await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), connection.closing);
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof KafkaError && error.retryable;
}
