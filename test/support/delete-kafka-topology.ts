import { Kafka, logLevel } from "kafkajs";
import { formatDuration, parseDuration } from "../../src/util/duration.js";
import type { LeftBehind } from "../../testing/conformance/index.js";

/** Deletes the topics and groups of a finished test, so that hundreds of tests do not leave thousands of partitions to one broker. */
export function deleteKafkaTopology(brokers: readonly string[]): (left: LeftBehind) => Promise<void> {
  return async ({ namePrefix, endpoints, messageTypes, retryDelays }) => {
    const admin = new Kafka({ clientId: "clean-up", brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      const suffixes = ["", ".dead-letter", ...retryDelays.map((delay) => `.retry.${formatDuration(parseDuration(delay) ?? 0)}`)];
      const names = [...messageTypes, ...endpoints.flatMap((endpoint) => suffixes.map((suffix) => endpoint + suffix))];
      const there = new Set(await admin.listTopics());
      const topics = names.map((name) => namePrefix + name).filter((name) => there.has(name));
      if (topics.length > 0) await admin.deleteTopics({ topics });
      // One that was never there, or that a killed instance has not left yet cannot be deleted; an empty group ends by itself.
      const groups = endpoints.flatMap((endpoint) => [endpoint, `${endpoint}.dead-letter`]).map((name) => namePrefix + name);
      await admin.deleteGroups(groups).catch(() => {});
    } finally {
      await admin.disconnect();
    }
  };
}
