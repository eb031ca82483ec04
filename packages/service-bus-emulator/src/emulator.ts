import { readFile } from "node:fs/promises";
import { startAdministration } from "./administration/administration-server.js";
import { FaultHooks } from "./administration/fault-hooks.js";
import { DEVELOPMENT_KEY, SharedKeyAuthorizer } from "./authorization/shared-key-authorizer.js";
import { ServiceBusNamespace } from "./broker/service-bus-namespace.js";
import { applyConfig } from "./config/apply-config.js";
import { ConfigError } from "./config/config-problems.js";
import { connectionString } from "./config/connection-string.js";
import { DEFAULT_NAMESPACE_NAME, type EmulatorConfig, readConfig } from "./config/emulator-config.js";
import { checkEmulatorOptions, type EmulatorOptions } from "./emulator-options.js";
import { startProtocol } from "./service-bus/server.js";
import { DataFolder } from "./storage/data-folder.js";

/** An emulator that runs. */
export interface Emulator {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  /** For the clients that send and receive. */
  readonly connectionString: string;
  /** For the administration clients, which take their port from it. */
  readonly adminConnectionString: string;
  /** The entities, to look at and to make in process; `throttle` and `expireLocks` are its fault hooks. */
  readonly namespace: ServiceBusNamespace;
  /** Fault hook: all links are detached. */
  detachLinks(): void;
  /** Fault hook: all connections are cut without a word. */
  dropConnections(): void;
  /** Ends; what was accepted is in the data folder when it resolves. */
  stop(): Promise<void>;
}

/**
 * Starts an emulator of a Service Bus namespace.
 * @throws ConfigError when the configuration or an option is wrong, or an option does not exist; the system's error when a port is taken or a folder cannot be used.
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  checkEmulatorOptions(options);
  const host = options.host ?? "127.0.0.1";
  const keys = options.keys ?? [DEVELOPMENT_KEY];
  const config = await loadConfig(options.config);
  const data = options.dataFolder === undefined ? undefined : await DataFolder.open(options.dataFolder);
  const namespace = new ServiceBusNamespace({ journal: data?.journal, ...(options.tier ? { tier: options.tier } : {}) });
  const undo: (() => Promise<void>)[] = [async () => data?.close(), async () => namespace.stop()];
  const end = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    data?.restore(namespace);
    if (config) applyConfig(namespace, config, nameOf(options.config));
    await namespace.kept();
    const authorizer = new SharedKeyAuthorizer(namespace, keys);
    const protocol = await startProtocol({ host, port: options.port ?? 0, namespace, authorizer });
    // Clients are told before the broker stops, and what they sent last is written after that.
    undo.push(() => protocol.stop());
    const faults = new FaultHooks(namespace, protocol);
    const namespaceName = config?.name ?? DEFAULT_NAMESPACE_NAME;
    const administration = await startAdministration({ host, port: options.adminPort ?? 0, namespace, namespaceName, authorizer, faults });
    undo.push(() => administration.stop());
    const key = keys[0] ?? DEVELOPMENT_KEY;
    const address = host === "0.0.0.0" || host === "::" ? "localhost" : host;
    return {
      host,
      port: protocol.port,
      adminPort: administration.port,
      connectionString: connectionString({ host: address, port: protocol.port, ...key }),
      adminConnectionString: connectionString({ host: address, port: administration.port, ...key }),
      namespace,
      detachLinks: () => protocol.detachLinks(),
      dropConnections: () => protocol.dropConnections(),
      stop: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function loadConfig(config: string | object | undefined): Promise<EmulatorConfig | undefined> {
  if (config === undefined) return undefined;
  if (typeof config !== "string") return readConfig(config);
  const text = (await readFile(config, "utf8")).replace(/^\ufeff/, "");
  try {
    return readConfig(JSON.parse(text), config);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ConfigError(config, [`it is no JSON: ${error.message}`]);
  }
}

function nameOf(config: string | object | undefined): string {
  return typeof config === "string" ? config : "The configuration";
}
