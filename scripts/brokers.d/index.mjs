import { kafka } from "./kafka.mjs";
import { kafka3 } from "./kafka-3.mjs";
import { kafkaCluster } from "./kafka-cluster.mjs";
import { rabbitmq } from "./rabbitmq.mjs";
import { rabbitmq4 } from "./rabbitmq-4.mjs";
import { rabbitmqCluster } from "./rabbitmq-cluster.mjs";

/** Every broker that `scripts/brokers` knows; a new one is a file beside this one and a line here. */
export const brokers = [rabbitmq, rabbitmq4, rabbitmqCluster, kafka, kafka3, kafkaCluster];

export { kafkaControl } from "./kafka.mjs";
export { kafka3Control } from "./kafka-3.mjs";
export { kafkaClusterControl } from "./kafka-cluster.mjs";
export { rabbitmqControl } from "./rabbitmq.mjs";
export { rabbitmq4Control } from "./rabbitmq-4.mjs";
export { rabbitmqClusterControl } from "./rabbitmq-cluster.mjs";
export { BrokerUnavailable } from "./support/errors.mjs";
export { kafka, kafka3, kafkaCluster, rabbitmq, rabbitmq4, rabbitmqCluster };
