import { describe, expect, test } from "vitest";
import type { Assignment, GroupMember, TypesByTopic } from "../../transports/kafka/assigner.js";
import { DriverError, type PartitionMetadata } from "../../transports/kafka/driver.js";
import type { ConsumerSettings } from "../../transports/kafka/driver-consumer.js";
import { makeMember } from "../../transports/kafka/group-member.js";
import type { ReceiverEnvironment } from "../../transports/kafka/receiver-environment.js";

type Metadata = ReadonlyMap<string, readonly PartitionMetadata[] | DriverError>;

const there: readonly PartitionMetadata[] = [{ partition: 0, leader: 1, replicas: [1] }];
const members: readonly GroupMember[] = [{ memberId: "m", topics: ["a", "b"], owned: new Map(), types: new Map() }];

const ROLES = [
  { topic: "a", retryDelayMs: undefined },
  { topic: "a.retry.500ms", retryDelayMs: 500 },
  { topic: "a.retry.1s", retryDelayMs: 1_000 },
  { topic: "a.retry.1m", retryDelayMs: 60_000 },
].map((role) => ({ ...role, types: undefined }));

interface Made {
  /** What it would give to whom. */
  readonly shares: ReadonlyMap<string, Assignment>;
  /** The topics that it told to be missing. */
  readonly missing: readonly string[];
  readonly rests: ReadonlyMap<string, number>;
  readonly types: TypesByTopic;
  readonly warnings: readonly string[];
}

/** A member that leads its group. */
async function shareOut(metadata: Metadata, given: readonly GroupMember[] = members, types?: ReadonlySet<string>): Promise<Made> {
  let settings: ConsumerSettings | undefined;
  let missing: readonly string[] = [];
  const connection = {
    driver: {
      consumer: (given: ConsumerSettings) => {
        settings = given;
      },
    },
    admin: (call: (admin: { metadata: () => Promise<Metadata> }) => unknown) => call({ metadata: async () => metadata }),
  };
  const unassigned = (topics: readonly string[]): void => {
    missing = topics;
  };
  const warnings: string[] = [];
  const logger = { warn: (text: string) => void warnings.push(text) };
  const environment = { connection, logger, options: { sessionTimeoutMs: 10_000 } } as unknown as ReceiverEnvironment;
  const shared = types ? [{ topic: "shared", retryDelayMs: undefined, types }] : [];
  makeMember(environment, { group: "g", unassigned }, [...ROLES, ...shared], false);
  if (!settings) throw new Error("no member was made");
  return { shares: await settings.assign(given), missing, rests: settings.rests, types: settings.types, warnings };
}

describe("the member that leads a group", () => {
  test("shares out what is there, and tells what is not", async () => {
    const gone = new DriverError("no-topic", "gone", { type: "UNKNOWN_TOPIC_OR_PARTITION" });
    const { shares, missing } = await shareOut(
      new Map<string, readonly PartitionMetadata[] | DriverError>([
        ["a", there],
        ["b", gone],
      ]),
    );
    expect([...(shares.get("m") ?? [])]).toEqual([["a", [0]]]);
    expect(missing).toEqual(["b"]);
  });

  test("shares nothing out while a topic cannot be looked at: nobody would read it", async () => {
    const trouble = new DriverError("unavailable", "no leader", { type: "LEADER_NOT_AVAILABLE" });
    const metadata = new Map<string, readonly PartitionMetadata[] | DriverError>([
      ["a", there],
      ["b", trouble],
    ]);
    await expect(shareOut(metadata)).rejects.toBe(trouble);
  });

  test("asks for what waits for its delay twice within it, for what waits long every second, and for all else each time", async () => {
    const { rests } = await shareOut(new Map([["a", there]]));
    expect([...rests]).toEqual([
      ["a.retry.1s", 250],
      ["a.retry.1m", 1_000],
    ]);
  });

  test("tells the group which types of a shared topic it handles, and warns when no member handles all", async () => {
    const one = { ...members[0], topics: ["a"], types: new Map([["a", ["x"]]]) } as GroupMember;
    const metadata = new Map([["a", there]]);
    const alone = await shareOut(metadata, [one], new Set(["x", "y"]));
    expect([...alone.types]).toEqual([["shared", ["x", "y"]]]);
    expect(alone.warnings).toEqual([]);
    const another = { ...one, memberId: "n", types: new Map([["a", ["y"]]]) };
    const { warnings } = await shareOut(metadata, [one, another]);
    expect(warnings).toEqual([expect.stringContaining('different types of the topic "a"')]);
  });
});
