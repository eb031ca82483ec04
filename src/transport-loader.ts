import type { BusOptions, TransportConfig } from "./contracts/bus-options.js";
import type { Transport } from "./contracts/transport.js";
import type { TransportModule } from "./contracts/transport-module.js";
import { TrolleybusError } from "./errors.js";
import { show } from "./options/show.js";
import type { Mistakes } from "./util/mistakes.js";

/** What the `transport` option of a bus takes. */
export type TransportOption = BusOptions["transport"];

interface Adapter {
  readonly schemes: readonly string[];
  /** How text begins that is not a URL and its own all the same, in lower case. */
  readonly beginning?: string;
  readonly load: () => Promise<TransportModule>;
}

/** The one place of the core that names adapters: a user loads, and has to install, only the client that is used. */
const ADAPTERS: Readonly<Record<string, Adapter>> = {
  memory: { schemes: ["memory"], load: () => import("trolleybus/memory") },
  rabbitmq: { schemes: ["amqp", "amqps"], load: () => import("trolleybus/rabbitmq") },
  kafka: { schemes: ["kafka"], load: () => import("trolleybus/kafka") },
  // A connection string, as Azure's portal gives it.
  "azure-service-bus": { schemes: ["sb"], beginning: "endpoint=sb://", load: () => import("trolleybus/azure-service-bus") },
};
const TYPES = Object.keys(ADAPTERS);
const SCHEMES = TYPES.flatMap((type) => ADAPTERS[type]?.schemes.map((scheme) => `${scheme}:`) ?? []);

/** Notes what can be said about the `transport` option before its adapter is loaded. */
export function checkTransportOption(option: unknown, mistakes: Mistakes): void {
  if (typeof option === "string") {
    if (!adapterOfUrl(option))
      mistakes.add(`the bus: transport begins with ${show(schemeOf(option))}, which no adapter takes. Known are ${SCHEMES.join(", ")}.`);
  } else if (isTransport(option)) {
    return;
  } else if (typeof option === "object" && option !== null && "type" in option) {
    if (!(typeof option.type === "string" && Object.hasOwn(ADAPTERS, option.type))) {
      mistakes.add(`the bus: transport.type is ${show(option.type)}. Known are ${TYPES.map((type) => `"${type}"`).join(", ")}.`);
    }
  } else {
    mistakes.add(
      `the bus: transport is ${show(option)}; it is a URL such as "memory:" or "amqp://…", an object with a \`type\`, or a transport made by hand.`,
    );
  }
}

/**
 * Makes the transport of a checked `transport` option; loads its adapter when it is the first of its kind.
 * @throws TrolleybusError "configuration" with every mistake in the URL or the object.
 */
export async function loadTransport(option: TransportOption): Promise<Transport> {
  if (isTransport(option)) return option.share?.() ?? option;
  const adapter = typeof option === "string" ? adapterOfUrl(option) : ADAPTERS[option.type];
  if (!adapter)
    throw new TrolleybusError("configuration", "The transport option names no adapter.", { cause: undefined, retryable: false });
  const module = await adapter.load();
  const transport = typeof option === "string" ? module.transportFromUrl(option) : module.transportFromConfig(option as TransportConfig);
  return transport.share?.() ?? transport;
}

function isTransport(option: unknown): option is Transport {
  return typeof option === "object" && option !== null && "open" in option && typeof option.open === "function";
}

// Only what stands before the first colon may be told: the rest of a URL can hold a password.
function schemeOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0].toLowerCase() ?? "no scheme";
}

function adapterOfUrl(url: string): Adapter | undefined {
  const scheme = schemeOf(url).slice(0, -1);
  const text = url.trimStart().toLowerCase();
  return Object.values(ADAPTERS).find(
    ({ schemes, beginning }) => schemes.includes(scheme) || (beginning !== undefined && text.startsWith(beginning)),
  );
}
