import { rmSync } from "node:fs";
import { join } from "node:path";
import { Broker } from "./support/broker.mjs";
import { BrokerUnavailable } from "./support/errors.mjs";
import { KafkaNode } from "./support/kafka-node.mjs";
import { canInstall, install, isInstalled, KAFKA_4, NEEDS } from "./support/kafka-programs.mjs";
import { clusterId } from "./support/kafka-server.mjs";
import { answersKafka, knownBrokers } from "./support/kafka-wire.mjs";
import { brokerDirectory, portFrom } from "./support/paths.mjs";
import { waitUntil } from "./support/wait-until.mjs";

const NAME = "kafka-cluster";
const SIZE = 3;

const firstPort = () => portFrom("TROLLEYBUS_KAFKA_CLUSTER_PORT", 19_291);

/** Three Kafka servers on one machine that form a cluster, each to be killed and frozen by itself. */
export class KafkaCluster {
  #directory;

  /** @param {ClusterInstance & { name: string, firstPort: number }} instance */
  constructor({ name, firstPort, detours, settings }) {
    this.#directory = brokerDirectory(name);
    const cluster = Array.from({ length: SIZE }, (_, index) => ({ id: index + 1, port: firstPort + index }));
    this.nodes = cluster.map(
      ({ id, port }, index) =>
        new KafkaNode({
          kafka: KAFKA_4,
          name: `${name}-${id}`,
          directory: join(this.#directory, `${name}-${id}`),
          id,
          port,
          cluster,
          clusterId: clusterId(name),
          detours: detours?.[index] ?? [],
          ...(settings ? { settings } : {}),
        }),
    );
  }

  /** Starts the nodes that do not run, and waits until all of them see each other. */
  async start() {
    // Together: a node alone has no majority to elect a controller with.
    await Promise.all(this.nodes.map((node) => node.launch()));
    await Promise.all(this.nodes.map((node) => node.ready()));
    await this.whole();
  }

  /** Waits until every node knows all nodes to take clients. */
  async whole() {
    const seesAll = async (/** @type {KafkaNode} */ node) => (await knownBrokers(node.address)).length === SIZE;
    await waitUntil("the three nodes to see each other", async () => (await Promise.all(this.nodes.map(seesAll))).every(Boolean), {
      deadlineMs: 60_000,
    });
  }

  /** Stops all nodes, one after the other as long as there is a majority to hand over to. */
  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  deleteData() {
    for (const node of this.nodes) node.deleteData();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * @typedef {object} ClusterInstance
 * @property {string} [name]
 * @property {number} [firstPort]
 * @property {readonly (readonly import("./support/kafka-node.mjs").Detour[])[]} [detours] of each node
 * @property {Readonly<Record<string, string | number>>} [settings]
 */

/**
 * Three nodes of Kafka 4.
 * @param {ClusterInstance} [instance] a name and ports of its own make a cluster beside the one that everybody uses
 * @returns {KafkaCluster}
 */
export function kafkaClusterControl(instance = {}) {
  if (!isInstalled(KAFKA_4)) throw new BrokerUnavailable(`Kafka ${KAFKA_4.version} is not installed: it needs ${NEEDS}`);
  return new KafkaCluster({ name: NAME, firstPort: firstPort(), ...instance });
}

export const kafkaCluster = new Broker({
  name: NAME,
  title: "Kafka cluster of three",
  variable: "KAFKA_CLUSTER_BROKERS",
  url: () => Array.from({ length: SIZE }, (_, index) => `127.0.0.1:${firstPort() + index}`).join(","),
  answers: answersKafka,
  installed: () => isInstalled(KAFKA_4),
  canInstall,
  install: () => install(KAFKA_4),
  needs: NEEDS,
  server() {
    const cluster = kafkaClusterControl();
    return {
      running: () => cluster.nodes.some((node) => node.pid !== undefined),
      start: () => cluster.start(),
      stop: () => cluster.stop(),
      deleteData: () => cluster.deleteData(),
    };
  },
});
