import { Broker } from "./support/broker.mjs";
import { BrokerUnavailable } from "./support/errors.mjs";
import { KafkaNode } from "./support/kafka-node.mjs";
import { canInstall, install, isInstalled, KAFKA_4, NEEDS } from "./support/kafka-programs.mjs";
import { asServer, clusterId } from "./support/kafka-server.mjs";
import { answersKafka } from "./support/kafka-wire.mjs";
import { brokerDirectory, portFrom } from "./support/paths.mjs";

const NAME = "kafka";

const port = () => portFrom("TROLLEYBUS_KAFKA_PORT", 19_092);

/**
 * What a Kafka of the fault suite's own, or of the benchmarks', differs in from the one that everybody uses.
 * @typedef {object} KafkaInstance
 * @property {string} [name]
 * @property {number} [port]
 * @property {readonly import("./support/kafka-node.mjs").Detour[]} [detours]
 * @property {Readonly<Record<string, string | number>>} [settings] lines of `server.properties`
 */

/**
 * A Kafka 4 to be started, stopped, killed and frozen at will.
 * @param {KafkaInstance} [instance] a name and a port of its own make a server beside the one that everybody uses
 * @returns {KafkaNode}
 */
export function kafkaControl(instance = {}) {
  return singleNode(KAFKA_4, { name: NAME, port: port(), ...instance });
}

/**
 * A cluster of one.
 * @param {import("./support/kafka-programs.mjs").KafkaVersion} kafka
 * @param {KafkaInstance & { name: string, port: number }} instance
 * @returns {KafkaNode}
 */
export function singleNode(kafka, { name, port, ...more }) {
  if (!isInstalled(kafka)) throw new BrokerUnavailable(`Kafka ${kafka.version} is not installed: it needs ${NEEDS}`);
  const id = 1;
  return new KafkaNode({
    kafka,
    name,
    directory: brokerDirectory(name),
    id,
    port,
    cluster: [{ id, port }],
    clusterId: clusterId(name),
    ...more,
  });
}

export const kafka = new Broker({
  name: NAME,
  title: "Kafka",
  variable: "KAFKA_BROKERS",
  url: () => `127.0.0.1:${port()}`,
  answers: answersKafka,
  installed: () => isInstalled(KAFKA_4),
  canInstall,
  install: () => install(KAFKA_4),
  needs: NEEDS,
  server: () => asServer(kafkaControl()),
  docker: { service: NAME, variables: () => ({ TROLLEYBUS_KAFKA_PORT: String(port()) }) },
});
