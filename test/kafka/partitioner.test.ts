import { Partitioners } from "kafkajs";
import { expect, test } from "vitest";
import { murmur2, partitionOfKey } from "../../transports/kafka/partitioner.js";

// The vectors of Kafka's own UtilsTest.java.
test.each([
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
])("the hash of %s is that of Kafka's Java client", (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test("a key goes to the partition to which kafkajs would send it too, also one of bytes above 127", () => {
  const theirs = Partitioners.DefaultPartitioner();
  for (const partitions of [1, 2, 3, 6, 7, 100]) {
    const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
      partitionErrorCode: 0,
      partitionId,
      leader: 1,
      replicas: [1],
      isr: [1],
    }));
    for (let i = 0; i < 200; i++) {
      const key = Buffer.from(`${"ü€".repeat(i % 5)}key-${i}`);
      expect(partitionOfKey(key, partitions)).toBe(theirs({ topic: "t", partitionMetadata, message: { key, value: null } }));
    }
  }
});
