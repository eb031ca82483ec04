import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Duration } from "../../src/contracts/duration.js";
import { parseDuration } from "../../src/util/duration.js";
import { Mistakes } from "../../src/util/mistakes.js";
import { isOptionsObject, optionsIn } from "../../src/util/options-object.js";
import { addressFromConnectionString, isConnectionString, type KeyAddress } from "./address.js";
import { addressFromUrl } from "./url.js";

/** What gives tokens of Microsoft Entra ID: any credential of `@azure/identity`, such as `new DefaultAzureCredential()`. */
export interface ServiceBusCredential {
  getToken(scopes: string | string[], options?: object): Promise<{ readonly token: string; readonly expiresOnTimestamp: number } | null>;
}

/** What `azureServiceBus()` takes: either `connectionString`, or `fullyQualifiedNamespace` with `credential`. */
export interface AzureServiceBusOptions {
  /**
   * As Azure's portal gives it, of a shared access policy of the whole namespace (not of one queue: no `EntityPath`). With
   * `UseDevelopmentEmulator=true` it is an emulator's.
   */
  readonly connectionString?: string;
  /** `NAMESPACE.servicebus.windows.net`; needs {@link credential}. */
  readonly fullyQualifiedNamespace?: string;
  /** Instead of a key. Sending and receiving need the roles Sender and Receiver, making queues the role Owner, of "Azure Service Bus Data". */
  readonly credential?: ServiceBusCredential;
  /** The port of an emulator's administration, over plain HTTP. @default 5300 for an emulator; Azure itself has none of its own */
  readonly adminPort?: number;
  /**
   * How long a queue that the bus makes gives a message to one process before it takes it back; locks are renewed, so handlers may take longer. So
   * long it takes until what a dead process held is given to another. From 10 s to 5 min. @default "1m"
   */
  readonly lockDuration?: Duration;
  /** How long one request to the service may take, before it is given up and tried again. From 1 s to 1 min. @default "10s" */
  readonly operationTimeout?: Duration;
}

/** Who we are to the service. */
export type Authority =
  | { readonly by: "key"; readonly address: KeyAddress }
  | { readonly by: "credential"; readonly namespace: string; readonly credential: ServiceBusCredential };

/** Checked and complete: what the rest of the adapter sees. */
export interface ResolvedOptions {
  readonly authority: Authority;
  readonly adminPort: number | undefined;
  readonly lockDurationMs: number;
  readonly operationTimeoutMs: number;
}

/** @default of {@link AzureServiceBusOptions.lockDuration}, and that of the service itself. */
export const DEFAULT_LOCK_DURATION: Duration = "1m";
/** @default of {@link AzureServiceBusOptions.operationTimeout}: two of them fit into the publish timeout of 30 s. The client's own is 60 s. */
export const DEFAULT_OPERATION_TIMEOUT: Duration = "10s";
/** Below it a lock may end while its renewal waits for a busy service. */
export const SHORTEST_LOCK_MS = 10_000;
/** The longest that the service gives. */
export const LONGEST_LOCK_MS = 300_000;
/** The port of the administration of Microsoft's emulator, and of ours. */
export const EMULATOR_ADMIN_PORT = 5300;

const OPTIONS: readonly string[] = [
  "connectionString",
  "fullyQualifiedNamespace",
  "credential",
  "adminPort",
  "lockDuration",
  "operationTimeout",
] satisfies (keyof AzureServiceBusOptions)[];
/** The parameters that a URL may carry beside `development`, and the option that each stands for. */
const PARAMETERS: Readonly<Record<string, keyof AzureServiceBusOptions>> = {
  "admin-port": "adminPort",
  "lock-duration": "lockDuration",
  "operation-timeout": "operationTimeout",
};

/** @throws TrolleybusError "configuration" listing every mistake. */
export function resolveOptions(given: AzureServiceBusOptions, headline = "Wrong options for azureServiceBus()"): ResolvedOptions {
  const mistakes = new Mistakes();
  const options = optionsIn(given);
  if (isOptionsObject(given)) mistakes.unknownKeys("azureServiceBus()", options, OPTIONS);
  else mistakes.add('the options must be an object, such as { connectionString: "Endpoint=sb://..." }.');
  return complete(authorityOf(options, mistakes), options, mistakes, headline);
}

/** Of a URL that begins with `sb:`, or of a connection string. @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromUrl(url: string): ResolvedOptions {
  const headline = "Wrong URL for the Azure Service Bus transport";
  if (isConnectionString(url))
    return resolveOptions({ connectionString: url }, "Wrong connection string for the Azure Service Bus transport");
  const mistakes = new Mistakes();
  const parsed = addressFromUrl(url, mistakes);
  const options: Record<string, unknown> = {};
  if (parsed) {
    mistakes.unknownKeys("the sb URL", Object.fromEntries(parsed.parameters), ["development", ...Object.keys(PARAMETERS)]);
    for (const [name, value] of parsed.parameters) {
      const option = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
      if (option) options[option] = option === "adminPort" ? Number(value) : value;
    }
  }
  return complete(parsed && { by: "key", address: parsed.address }, options, mistakes, headline);
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromConfig(config: TransportConfig): ResolvedOptions {
  const { type, ...options } = config;
  const headline = "Wrong options for the Azure Service Bus transport";
  if (type !== "azure-service-bus") {
    const mistakes = new Mistakes();
    mistakes.add(`type must be "azure-service-bus", not ${JSON.stringify(type)}.`);
    mistakes.throwIfAny(headline);
  }
  return resolveOptions(options as AzureServiceBusOptions, headline);
}

function complete(
  authority: Authority | undefined,
  options: Readonly<Record<string, unknown>>,
  mistakes: Mistakes,
  headline: string,
): ResolvedOptions {
  const isDevelopment = authority?.by === "key" && authority.address.isDevelopment;
  const adminPort = portOf(options["adminPort"], mistakes);
  if (adminPort !== undefined && authority && !isDevelopment) {
    mistakes.add(
      "adminPort is for an emulator (development=true, UseDevelopmentEmulator=true); Azure's administration has no port of its own.",
    );
  }
  const lockDurationMs = duration(
    "lockDuration",
    options["lockDuration"] ?? DEFAULT_LOCK_DURATION,
    SHORTEST_LOCK_MS,
    LONGEST_LOCK_MS,
    mistakes,
  );
  const operationTimeoutMs = duration(
    "operationTimeout",
    options["operationTimeout"] ?? DEFAULT_OPERATION_TIMEOUT,
    1_000,
    60_000,
    mistakes,
  );
  mistakes.throwIfAny(headline);
  if (!authority) throw new Error("an authority that is missing is a mistake that was noted");
  return { authority, adminPort: isDevelopment ? (adminPort ?? EMULATOR_ADMIN_PORT) : undefined, lockDurationMs, operationTimeoutMs };
}

function authorityOf(options: Readonly<Record<string, unknown>>, mistakes: Mistakes): Authority | undefined {
  const { connectionString, fullyQualifiedNamespace, credential } = options;
  if (connectionString !== undefined) {
    if (fullyQualifiedNamespace !== undefined || credential !== undefined)
      mistakes.add("connectionString is given together with fullyQualifiedNamespace or credential; it says both itself. Leave one out.");
    if (typeof connectionString !== "string") {
      mistakes.add("connectionString must be text.");
      return undefined;
    }
    const address = addressFromConnectionString(connectionString, "connectionString", mistakes);
    return address && { by: "key", address };
  }
  if (fullyQualifiedNamespace === undefined && credential === undefined) {
    mistakes.add(
      'connectionString is missing (or fullyQualifiedNamespace and credential); copy it from "Shared access policies" of the namespace.',
    );
    return undefined;
  }
  const known = mistakes.all.length;
  if (typeof fullyQualifiedNamespace !== "string" || !/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(fullyQualifiedNamespace))
    mistakes.add('fullyQualifiedNamespace must be the host name alone, such as "NAMESPACE.servicebus.windows.net".');
  if (!isCredential(credential))
    mistakes.add("credential must be a credential of @azure/identity, such as new DefaultAzureCredential(): an object with getToken().");
  if (mistakes.all.length > known || typeof fullyQualifiedNamespace !== "string" || !isCredential(credential)) return undefined;
  return { by: "credential", namespace: fullyQualifiedNamespace, credential };
}

function isCredential(value: unknown): value is ServiceBusCredential {
  return typeof value === "object" && value !== null && "getToken" in value && typeof value.getToken === "function";
}

function portOf(value: unknown, mistakes: Mistakes): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  mistakes.add(`adminPort must be a port from 1 to 65535, not ${JSON.stringify(value)}.`);
  return undefined;
}

function duration(name: string, value: unknown, leastMs: number, mostMs: number, mistakes: Mistakes): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms >= leastMs && ms <= mostMs) return ms;
  mistakes.add(`${name} must be a duration from ${leastMs / 1000} s to ${mostMs / 1000} s, such as "30s", not ${JSON.stringify(value)}.`);
  return leastMs;
}
