import { describe, test } from "vitest";
import { conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { rabbitmq } from "../../transports/rabbitmq/index.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { deleteRabbitmqTopology } from "../support/delete-rabbitmq-topology.js";

/** On a shared machine a broker may stand still for seconds. */
const PATIENCE = 2;

describeWithRabbitmq("conformance", ({ url }) => {
  for (const variant of conformanceVariants) {
    const cleanUp = deleteRabbitmqTopology(url);
    testTransport({ test: test.concurrent, describe, variant, cleanUp, patience: PATIENCE, createTransport: () => rabbitmq({ url }) });
  }
});
