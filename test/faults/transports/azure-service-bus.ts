import { type QueueRuntimeProperties, ServiceBusAdministrationClient } from "@azure/service-bus";
import { ENDPOINTS } from "../messages.js";
import { versionOfPackage } from "../package-version.js";
import { EmulatorProcess } from "./azure-service-bus-control.js";
import { azureServiceBusFaults } from "./azure-service-bus-faults.js";
import type { BrokerUnderTest, FaultTransport, QueueState } from "./transport.js";

/** An emulator of the suite's own, beside those of the other tests. Two runs at a time need ports of their own. */
const PORT = Number(process.env["TROLLEYBUS_FAULTS_PORT"] ?? 5_840);
const ADMIN_PORT = PORT + 1;
/** The shortest that the adapter takes, so that what a dead process held comes back within a test's patience. */
const LOCK_DURATION = "10s";
/**
 * Each death costs the lock of the dead process and a look at the suspects; there are up to three until the message is one, and then ten. Before it is
 * tried alone for the first time the innocents, suspects as well by then, are moved and run one after the other.
 */
const POISON_PATIENCE = { quietMs: 90_000, limitMs: 90_000 + 13 * 30_000 };
/** Within the publish timeout of the services, so that a frozen broker leaves time for a second try; long enough for a machine that is busy. */
const OPERATION_TIMEOUT = "8s";
/** Counts are those of the moment, settlements those of a moment before. */
const DEPTHS_AGE_MS = 1_000;

/** Everything a fault of Service Bus may use. */
export interface ServiceBusUnderFault {
  readonly emulator: EmulatorProcess;
  readonly admin: ServiceBusAdministrationClient;
}

export const azureServiceBus: FaultTransport = {
  name: "azure-service-bus",
  brokers: ["emulator"],
  async start() {
    const emulator = await EmulatorProcess.start(PORT, ADMIN_PORT);
    const server: ServiceBusUnderFault = { emulator, admin: adminOf(emulator) };
    return {
      description: {
        broker: "trolleybus-service-bus-emulator, with a data folder",
        client: `@azure/service-bus ${versionOfPackage("@azure/service-bus")}`,
        durability: "what was accepted is in the emulator's log; a killed process is tested here, a power failure is not",
        locks: LOCK_DURATION,
      },
      addresses: () => [{ name: "emulator", port: PORT }],
      transportThrough: ([port]) => transportOn(emulator, port ?? PORT),
      direct: transportOn(emulator, PORT),
      rebalances: false,
      poisonPatience: POISON_PATIENCE,
      kinds: azureServiceBusFaults(server),
      depths: () => depths(server),
      depthsAgeMs: DEPTHS_AGE_MS,
      mend: () => emulator.mend(),
      close: () => emulator.end(),
    } satisfies BrokerUnderTest;
  },
};

function transportOn(emulator: EmulatorProcess, port: number): unknown {
  return {
    type: "azure-service-bus",
    connectionString: emulator.connectionStringOn(port),
    adminPort: ADMIN_PORT,
    lockDuration: LOCK_DURATION,
    operationTimeout: OPERATION_TIMEOUT,
  };
}

function adminOf(emulator: EmulatorProcess): ServiceBusAdministrationClient {
  const client = new ServiceBusAdministrationClient(emulator.connectionStringOn(ADMIN_PORT));
  // The client knows HTTPS alone; the emulator has plain HTTP.
  client.pipeline.addPolicy({
    name: "plain HTTP",
    sendRequest: (request, next) => {
      request.url = request.url.replace(/^https:/, "http:");
      request.allowInsecureConnection = true;
      return next(request);
    },
  });
  return client;
}

async function depths({ admin }: ServiceBusUnderFault): Promise<readonly QueueState[]> {
  const states: QueueState[] = [];
  const note = (
    queue: string,
    counts: Pick<QueueRuntimeProperties, "activeMessageCount" | "deadLetterMessageCount" | "transferDeadLetterMessageCount">,
  ): void => {
    states.push(
      { queue, messages: counts.activeMessageCount, deadLetters: false },
      { queue: `${queue}/$DeadLetterQueue`, messages: counts.deadLetterMessageCount, deadLetters: true },
      { queue: `${queue}/$Transfer/$DeadLetterQueue`, messages: counts.transferDeadLetterMessageCount, deadLetters: true },
    );
  };
  for await (const counts of admin.listQueuesRuntimeProperties()) {
    if (!ENDPOINTS.some((endpoint) => counts.name === endpoint || counts.name.startsWith(`${endpoint}.`))) continue;
    note(counts.name, {
      ...counts,
      activeMessageCount: counts.activeMessageCount + counts.scheduledMessageCount + counts.transferMessageCount,
    });
  }
  for await (const { name } of admin.listTopics()) {
    for await (const counts of admin.listSubscriptionsRuntimeProperties(name))
      note(`${name}/Subscriptions/${counts.subscriptionName}`, counts);
  }
  return states;
}
