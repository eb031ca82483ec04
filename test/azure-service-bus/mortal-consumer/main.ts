import { createBus } from "../../../src/index.js";
import { azureServiceBus } from "../../../transports/azure-service-bus/index.js";
import { type MortalConsumerOptions, Step } from "./options.js";

const { transport, endpoint } = JSON.parse(process.argv[2] ?? "") as MortalConsumerOptions;

/** Says the name of each step that it has passed. One that kills takes the process with it, at once. */
const bus = createBus({
  service: "orders",
  transport: azureServiceBus(transport),
  logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  retry: { immediate: 0, delays: ["5m"] },
});
bus.endpoint(endpoint, { order: "key" }).subscribe(Step, async ({ name, deed }) => {
  if (deed === "kill") process.kill(process.pid, "SIGKILL");
  if (deed === "fail") throw new Error("fails, and waits for its retry");
  // Settled only when it is said: the next one may kill what is still to be written.
  await new Promise((resolve) => process.send?.(name, resolve));
});
await bus.start();
