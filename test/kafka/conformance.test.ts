import { describe, test } from "vitest";
import { type ConformanceVariant, conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { kafka } from "../../transports/kafka/index.js";
import { describeWithKafka } from "../support/brokers.js";
import { deleteKafkaTopology } from "../support/delete-kafka-topology.js";

/** On a shared machine a broker may stand still for seconds. */
const PATIENCE = 2;

/** With one partition an endpoint is read by one of its instances only; with six, order is the order of a key. */
const PARTITIONS = [1, 6];

/**
 * On the newer broker everything with six partitions, and with one, where a key has nothing to tell apart, the plain way; of the older one,
 * whose difference is its versions of the protocol, both ways of reading and both numbers once.
 */
function variantsOf(broker: string, partitions: number): readonly ConformanceVariant[] {
  return conformanceVariants.filter(({ namePrefix, order }) => {
    if (broker === "kafka") return partitions > 1 || (namePrefix === undefined && order !== "key");
    return namePrefix === undefined && (order === "key") === partitions > 1;
  });
}

describeWithKafka("conformance", ({ name, brokers }) => {
  for (const partitions of PARTITIONS) {
    describe(`topics of ${partitions} partition${partitions > 1 ? "s" : ""}`, () => {
      for (const variant of variantsOf(name, partitions)) {
        const cleanUp = deleteKafkaTopology(brokers);
        testTransport({
          test: test.concurrent,
          describe,
          variant,
          cleanUp,
          patience: PATIENCE,
          createTransport: () => kafka({ brokers, partitions }),
        });
      }
    });
  }
});
