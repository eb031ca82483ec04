import { type Emulator, type EmulatorOptions, startEmulator } from "../../packages/service-bus-emulator/src/index.js";
import type { EndpointPlan } from "../../src/contracts/transport.js";
import type { LeftBehind } from "../../testing/conformance/index.js";
import type { AzureServiceBusOptions } from "../../transports/azure-service-bus/index.js";

type Options = AzureServiceBusOptions & { readonly connectionString: string; readonly adminPort: number };

/** An emulator of Service Bus in this process, with no data. */
export interface ServiceBusUnderTest extends Emulator {
  /** For the adapter; locks are as short as it takes them. */
  readonly options: Options;
  /** The same over another port, where a proxy is. */
  optionsThrough(port: number): Options;
}

export async function startServiceBus(given: EmulatorOptions = {}): Promise<ServiceBusUnderTest> {
  const emulator = await startEmulator(given);
  const optionsThrough = (port: number): Options => ({
    connectionString: emulator.connectionString.replace(`:${emulator.port}`, `:${port}`),
    adminPort: emulator.adminPort,
    lockDuration: "10s",
    operationTimeout: "3s",
  });
  return { ...emulator, options: optionsThrough(emulator.port), optionsThrough };
}

/** The queues of an endpoint, made past the administration: for what it would not make, such as shorter locks. */
export function createQueues({ namespace }: Emulator, { name, order }: EndpointPlan, lockDuration: number): void {
  const isOrdered = order === "key";
  namespace.createQueue(name, { lockDuration, requiresSession: isOrdered, maxDeliveryCount: isOrdered ? 50 : 2_147_483_647 });
  namespace.createQueue(`${name}.suspect`, { lockDuration, maxDeliveryCount: 2_147_483_647 });
}

/** Deletes what a finished test of the conformance suite left, so that a thousand of them do not pile up in one process. */
export function deleteEntities({ namespace }: Emulator): (left: LeftBehind) => Promise<void> {
  return async ({ namePrefix, endpoints, messageTypes }) => {
    for (const name of [...messageTypes, ...endpoints, ...endpoints.map((endpoint) => `${endpoint}.suspect`)])
      namespace.delete(namePrefix + name);
  };
}
