import { azureServiceBus } from "./azure-service-bus.js";
import { kafka } from "./kafka.js";
import { rabbitmq } from "./rabbitmq.js";
import type { FaultTransport } from "./transport.js";

const all: readonly FaultTransport[] = [rabbitmq, kafka, azureServiceBus];

/** @throws Error for a name that is not known. */
export function transportNamed(name: string): FaultTransport {
  const found = all.find((transport) => transport.name === name);
  if (!found) throw new Error(`there is no transport "${name}"; there are ${all.map((transport) => transport.name).join(", ")}`);
  return found;
}
