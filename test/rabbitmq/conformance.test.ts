import { describe, test } from "vitest";
import { conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { rabbitmq } from "../../transports/rabbitmq/index.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { deleteRabbitmqTopology } from "../support/delete-rabbitmq-topology.js";

describeWithRabbitmq("conformance", ({ url }) => {
  for (const variant of conformanceVariants) {
    const cleanUp = deleteRabbitmqTopology(url);
    testTransport({ test: test.concurrent, describe, variant, cleanUp, createTransport: () => rabbitmq({ url }) });
  }
});
