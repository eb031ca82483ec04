import { DEVELOPMENT_KEY, SharedKeyAuthorizer } from "../../packages/service-bus-emulator/src/authorization/shared-key-authorizer.js";
import { ServiceBusNamespace } from "../../packages/service-bus-emulator/src/broker/service-bus-namespace.js";
import { startProtocol } from "../../packages/service-bus-emulator/src/service-bus/server.js";
import type { EndpointPlan } from "../../src/contracts/transport.js";
import type { AzureServiceBusOptions } from "../../transports/azure-service-bus/index.js";

type Options = AzureServiceBusOptions & { readonly connectionString: string };

/** An emulator of Service Bus in this process, with no data. */
export interface ServiceBusUnderTest {
  readonly port: number;
  /** For the adapter; locks are as short as it takes them. */
  readonly options: Options;
  readonly namespace: ServiceBusNamespace;
  connectionStringThrough(port: number): string;
  detachLinks(): void;
  dropConnections(): void;
  stop(): Promise<void>;
}

export async function startServiceBus(): Promise<ServiceBusUnderTest> {
  const namespace = new ServiceBusNamespace();
  const server = await startProtocol({ host: "127.0.0.1", port: 0, namespace, authorizer: new SharedKeyAuthorizer(namespace) });
  const connectionStringThrough = (port: number): string =>
    `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=${DEVELOPMENT_KEY.keyName};SharedAccessKey=${DEVELOPMENT_KEY.key};UseDevelopmentEmulator=true;`;
  return {
    port: server.port,
    options: { connectionString: connectionStringThrough(server.port), lockDuration: "10s", operationTimeout: "3s" },
    namespace,
    connectionStringThrough,
    detachLinks: () => server.detachLinks(),
    dropConnections: () => server.dropConnections(),
    stop: () => server.stop(),
  };
}

/** The queues of an endpoint, made past the administration: for what it would not make, such as shorter locks. */
export function createQueues(namespace: ServiceBusNamespace, { name, order }: EndpointPlan, lockDuration: number): void {
  namespace.createQueue(name, { lockDuration, requiresSession: order === "key", maxDeliveryCount: 50 });
  namespace.createQueue(`${name}.suspect`, { lockDuration, maxDeliveryCount: 2_147_483_647 });
}
