import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isInstalled, KAFKA_4 } from "../../scripts/brokers.d/support/kafka-programs.mjs";
import { brokerScripts, type KafkaCluster, type KafkaNode } from "../faults/transports/kafka-control.js";
import { eventually } from "./support/eventually.js";
import { type Bench, message, type Port } from "./support/port.js";
import { publishThrough, type Trouble } from "./support/publisher.js";

/** A cluster of its own, since its nodes are killed and frozen. */
const FIRST_PORT = 19_311;
const THING = { event: "test.thing" };

describe.skipIf(!isInstalled(KAFKA_4))("a cluster in trouble", () => {
  let cluster: KafkaCluster;

  beforeAll(async () => {
    const settings = { "broker.session.timeout.ms": 3_000, "broker.heartbeat.interval.ms": 500 };
    cluster = (await brokerScripts()).kafkaClusterControl({ name: "kafka-cluster-trouble", firstPort: FIRST_PORT, detours: [], settings });
    await cluster.start();
  }, 180_000);
  afterAll(async () => {
    await cluster.stop();
    cluster.deleteData();
  }, 120_000);

  const comesThrough = (trouble: Trouble) =>
    publishThrough(
      cluster.nodes.map(({ address }) => address),
      { partitions: 6, requestTimeout: "4s", connectTimeout: "2s" },
      trouble,
    );

  async function leaders(bench: Bench): Promise<ReadonlyMap<number, number>> {
    const { topics } = await (await bench.admin()).fetchTopicMetadata({ topics: [`${bench.namePrefix}test.thing`] });
    return new Map(topics[0]?.partitions.map(({ partitionId, leader }) => [partitionId, leader]));
  }
  /** Asked anew each time: a client that has asked the frozen node waits for it. */
  async function leadsNothing({ id }: KafkaNode, bench: Bench): Promise<boolean> {
    const brokers = cluster.nodes.filter((node) => node.id !== id).map(({ address }) => address);
    const client = new Kafka({
      brokers,
      requestTimeout: 1_000,
      connectionTimeout: 1_000,
      retry: { retries: 0 },
      logLevel: logLevel.NOTHING,
    });
    const admin = client.admin();
    try {
      await admin.connect();
      const { topics } = await admin.fetchTopicMetadata({ topics: [`${bench.namePrefix}test.thing`] });
      const partitions = topics[0]?.partitions ?? [];
      return partitions.length > 0 && partitions.every(({ leader }) => leader !== id);
    } catch {
      return false;
    } finally {
      await admin.disconnect().catch(() => {});
    }
  }
  async function aLeader(bench: Bench): Promise<KafkaNode> {
    const [leader] = (await leaders(bench)).values();
    const node = cluster.nodes.find(({ id }) => id === leader);
    if (!node) throw new Error("no node leads anything");
    return node;
  }
  /** The longest that a message without a key took, of some sent one after the other. */
  async function slowest(port: Port, count: number): Promise<number> {
    let most = 0;
    for (let i = 0; i < count; i++) {
      const startedAt = performance.now();
      const [result] = await port.send(message(THING, `free-${i}`));
      if (result?.outcome === "sent") most = Math.max(most, performance.now() - startedAt);
    }
    return most;
  }

  test("a leader that is killed is replaced, and nothing confirmed is lost", async () => {
    await comesThrough(async (_, publisher, bench) => {
      const node = await aLeader(bench);
      await node.kill();
      const before = publisher.acknowledged.length;
      await eventually("messages of every key to be confirmed without it", () => publisher.acknowledged.length > before + 500, 60_000);
      await node.start();
      await cluster.whole();
    });
  }, 240_000);

  test("while a leader is frozen the others' partitions are served, and its own once they have another leader", async () => {
    const { publisher } = await comesThrough(async (port, publisher, bench) => {
      const node = await aLeader(bench);
      node.freeze();
      const before = publisher.acknowledged.length;
      try {
        await eventually("messages to be confirmed without it", () => publisher.acknowledged.length > before + 500, 60_000);
        await eventually("the leaders to be others", async () => await leadsNothing(node, bench), 60_000);
        await eventually("no message to take long any more", async () => (await slowest(port, 20)) < 1_500, 60_000);
      } finally {
        node.thaw();
      }
      await cluster.whole();
    });
    expect(publisher.outcomes.get("unknown")).toBeGreaterThan(0);
  }, 240_000);

  test("with two of three away nothing is confirmed, and all goes on when they are back", async () => {
    await comesThrough(async (_, publisher) => {
      const [first, second] = cluster.nodes;
      await Promise.all([first?.kill(), second?.kill()]);
      await eventually("nothing to be confirmed any more", async () => {
        const before = publisher.acknowledged.length;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return publisher.acknowledged.length === before;
      });
      await Promise.all([first?.start(), second?.start()]);
      await cluster.whole();
    });
  }, 240_000);
});
