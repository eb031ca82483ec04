import { singleNode } from "./kafka.mjs";
import { Broker } from "./support/broker.mjs";
import { canInstall, install, isInstalled, KAFKA_3, NEEDS } from "./support/kafka-programs.mjs";
import { asServer } from "./support/kafka-server.mjs";
import { answersKafka } from "./support/kafka-wire.mjs";
import { portFrom } from "./support/paths.mjs";

const NAME = "kafka-3";

const port = () => portFrom("TROLLEYBUS_KAFKA3_PORT", 19_192);

/**
 * A Kafka 3.9, the last before 4.0 removed old versions of the protocol, to be started, stopped, killed and frozen at will.
 * @param {import("./kafka.mjs").KafkaInstance} [instance] as for `kafkaControl`
 * @returns {import("./support/kafka-node.mjs").KafkaNode}
 */
export function kafka3Control(instance = {}) {
  return singleNode(KAFKA_3, { name: NAME, port: port(), ...instance });
}

export const kafka3 = new Broker({
  name: NAME,
  title: "Kafka 3.9",
  variable: "KAFKA3_BROKERS",
  url: () => `127.0.0.1:${port()}`,
  answers: answersKafka,
  installed: () => isInstalled(KAFKA_3),
  canInstall,
  install: () => install(KAFKA_3),
  needs: NEEDS,
  server: () => asServer(kafka3Control()),
  docker: { service: NAME, variables: () => ({ TROLLEYBUS_KAFKA3_PORT: String(port()) }) },
});
