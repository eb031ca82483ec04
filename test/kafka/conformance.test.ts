import { describe, test } from "vitest";
import { conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { kafka } from "../../transports/kafka/index.js";
import { describeWithKafka } from "../support/brokers.js";
import { deleteKafkaTopology } from "../support/delete-kafka-topology.js";

/** With one partition an endpoint is read by one of its instances only; with six, order is the order of a key. */
const PARTITIONS = [1, 6];

describeWithKafka("conformance", ({ name, brokers }) => {
  for (const partitions of PARTITIONS) {
    // What a name begins with has nothing to do with versions and partitions: once is enough.
    const variants = conformanceVariants.filter(({ namePrefix }) => namePrefix === undefined || (name === "kafka" && partitions > 1));
    describe(`topics of ${partitions} partition${partitions > 1 ? "s" : ""}`, () => {
      for (const variant of variants) {
        const cleanUp = deleteKafkaTopology(brokers);
        testTransport({ test, describe, variant, cleanUp, createTransport: () => kafka({ brokers, partitions }) });
      }
    });
  }
});
