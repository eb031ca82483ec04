import { describe, test } from "vitest";
import { conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { kafka } from "../../transports/kafka/index.js";
import { describeWithKafka } from "../support/brokers.js";
import { deleteKafkaTopology } from "../support/delete-kafka-topology.js";

/** With one partition an endpoint is read by one of its instances only; with six, order is the order of a key. */
const PARTITIONS = [1, 6];

describeWithKafka("conformance", ({ brokers }) => {
  for (const partitions of PARTITIONS) {
    describe(`topics of ${partitions} partition${partitions > 1 ? "s" : ""}`, () => {
      for (const variant of conformanceVariants) {
        const cleanUp = deleteKafkaTopology(brokers);
        testTransport({ test, describe, variant, cleanUp, createTransport: () => kafka({ brokers, partitions }) });
      }
    });
  }
});
