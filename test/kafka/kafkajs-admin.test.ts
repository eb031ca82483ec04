import { expect, test } from "vitest";
import { KafkajsAdmin } from "../../transports/kafka/kafkajs-admin.js";
import type { KafkajsHome } from "../../transports/kafka/kafkajs-home.js";

const COMMITTED = [
  { topic: "orders", partitions: [{ partition: 0, offset: "7", metadata: "m" }] },
  { topic: "others", partitions: [{ partition: 0, offset: "3", metadata: null }] },
];

/** kafkajs while it looks for brokers: it knows of no partition of any topic. No broker can be made to meet that moment at will. */
function lookingForBrokers(): KafkajsAdmin {
  const kafkajs = {
    fetchOffsets: async ({ topics }: { topics?: readonly string[] }) =>
      topics ? topics.map((topic) => ({ topic, partitions: [] })) : COMMITTED,
    fetchTopicOffsets: async () => [],
    fetchTopicOffsetsByTimestamp: async () => [],
  };
  const home = { kafka: { admin: () => kafkajs }, cut: () => {} } as unknown as KafkajsHome;
  return new KafkajsAdmin(() => home);
}

test("what a group has committed does not depend on the partitions that kafkajs knows at the moment: its topics are not read again", async () => {
  expect(await lookingForBrokers().committed("shipping", ["orders", "unread"])).toEqual([
    { topic: "orders", partition: 0, offset: 7, metadata: "m" },
  ]);
});

test("a topic of which kafkajs knows no partition at the moment has no beginning and no end", async () => {
  for (const at of ["earliest", "latest", { time: 1 }] as const) {
    await expect(lookingForBrokers().offsets("orders", at)).rejects.toMatchObject({ kind: "unavailable" });
  }
});
