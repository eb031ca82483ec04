import { ServiceBusClient, type ServiceBusClientOptions } from "@azure/service-bus";
import type { Authorizer, ProtocolServer } from "../../src/broker/contracts.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { type ProtocolLimits, startProtocolWith } from "../../src/service-bus/server.js";

/** Lets everybody do everything: tests of authorization use the real one. */
const EVERYBODY: Authorizer = {
  authorize: () => ({ audience: "", rights: new Set(["Manage"]), expiresAt: Number.POSITIVE_INFINITY }),
};

/** A namespace with its protocol, without administration or storage. */
export class BrokerServer implements AsyncDisposable {
  readonly namespace: ServiceBusNamespace;
  readonly server: ProtocolServer;
  readonly #clients: ServiceBusClient[] = [];

  private constructor(namespace: ServiceBusNamespace, server: ProtocolServer) {
    this.namespace = namespace;
    this.server = server;
  }

  static async start(
    options: { limits?: ProtocolLimits; authorizer?: Authorizer; port?: number; namespace?: ServiceBusNamespace } = {},
  ): Promise<BrokerServer> {
    const namespace = options.namespace ?? new ServiceBusNamespace();
    const authorizer = options.authorizer ?? EVERYBODY;
    const server = await startProtocolWith({ host: "127.0.0.1", port: options.port ?? 0, namespace, authorizer }, options.limits ?? {});
    return new BrokerServer(namespace, server);
  }

  get port(): number {
    return this.server.port;
  }

  get connectionString(): string {
    return `Endpoint=sb://127.0.0.1:${this.port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;`;
  }

  /** Microsoft's client, closed with the server. It gives up early, so that a test that hangs says where. */
  client(options: ServiceBusClientOptions = {}): ServiceBusClient {
    const client = new ServiceBusClient(this.connectionString, { retryOptions: { maxRetries: 0, timeoutInMs: 10_000 }, ...options });
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.server.stop();
  }
}
