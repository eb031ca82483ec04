import { afterAll, describe, test } from "vitest";
import { conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { azureServiceBus } from "../../transports/azure-service-bus/index.js";
import { deleteEntities, startServiceBus } from "../support/service-bus.js";

/** On a shared machine a broker may stand still for seconds. */
const PATIENCE = 2;

const broker = await startServiceBus();
afterAll(() => broker.stop());

for (const variant of conformanceVariants) {
  testTransport({
    test: test.concurrent,
    describe,
    variant,
    cleanUp: deleteEntities(broker),
    patience: PATIENCE,
    createTransport: () => azureServiceBus(broker.options),
  });
}
