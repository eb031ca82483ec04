import { expect, test } from "vitest";
import type { KafkaConnection } from "../../transports/kafka/connection.js";
import { Names } from "../../transports/kafka/mapping.js";
import type { TopicDirectory } from "../../transports/kafka/topic-directory.js";
import { TopologyKeeper } from "../../transports/kafka/topology-keeper.js";
import { RecordingLogger } from "../support/recording-logger.js";

const SETTINGS = { partitions: -1, replication: -1, retentionMs: undefined };

/** A keeper in a cluster that answers each listing when it is told to. */
function keeper(): { keeper: TopologyKeeper; listings: ((topics: readonly string[]) => void)[] } {
  const listings: ((topics: readonly string[]) => void)[] = [];
  const listTopics = (): Promise<readonly string[]> => new Promise((resolve) => listings.push(resolve));
  const connection = { admin: (call: (admin: { listTopics: typeof listTopics }) => unknown) => call({ listTopics }) };
  const parts = [connection as unknown as KafkaConnection, {} as TopicDirectory, new Names("", {}), SETTINGS] as const;
  return { keeper: new TopologyKeeper(...parts, new RecordingLogger(), () => {}), listings };
}

const HOUR = 3_600_000;

test("all topics of a cluster are listed once for all endpoints of a bus, while the list may be as old as it is", async () => {
  const { keeper: retries, listings } = keeper();
  const asked = retries.retryTopicsOf("billing", HOUR);
  listings[0]?.(["billing", "billing.retry.1m", "billing.retry.10s", "shipping.retry.5s", "another"]);
  expect(await asked).toEqual([
    { topic: "billing.retry.10s", delayMs: 10_000 },
    { topic: "billing.retry.1m", delayMs: 60_000 },
  ]);
  expect(await retries.retryTopicsOf("shipping", HOUR)).toEqual([{ topic: "shipping.retry.5s", delayMs: 5_000 }]);
  expect(listings).toHaveLength(1);

  const anew = retries.retryTopicsOf("billing", 0);
  listings[1]?.(["billing.retry.2m"]);
  expect(await anew).toEqual([{ topic: "billing.retry.2m", delayMs: 120_000 }]);
});

test("a list that was asked for earlier and comes later is not believed", async () => {
  const { keeper: retries, listings } = keeper();
  const earlier = retries.retryTopicsOf("billing", 0);
  await new Promise((resolve) => setImmediate(resolve));
  const later = retries.retryTopicsOf("billing", 0);
  listings[1]?.(["billing.retry.10s"]);
  await later;
  listings[0]?.([]);
  expect(await earlier).toEqual([{ topic: "billing.retry.10s", delayMs: 10_000 }]);
});
