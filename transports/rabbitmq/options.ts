import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Duration } from "../../src/contracts/duration.js";
import { parseDuration } from "../../src/util/duration.js";
import { Mistakes } from "../../src/util/mistakes.js";
import { isOptionsObject, optionsIn } from "../../src/util/options-object.js";
import { TlsMaterial } from "../../src/util/tls-material.js";
import { type Address, addressFromUrl } from "./url.js";

/** What `rabbitmq()` takes. */
export interface RabbitMqOptions {
  /**
   * `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS; user and password percent-encoded, the virtual host `/` is written as
   * no path or as `/%2F`. A list names the nodes of one cluster: they are tried in turn. A URL may carry some of the options below as
   * parameters, see `docs/rabbitmq.md`.
   */
  readonly url: string | readonly string[];
  /** Instead of the user name in every URL. @default that of the URL, else "guest" */
  readonly username?: string;
  /** Instead of the password in every URL. @default that of the URL, else "guest" */
  readonly password?: string;
  /**
   * How often each side must hear of the other; a connection is given up after two of them without a sign. `0` for none, which leaves
   * a frozen broker unnoticed. Whole seconds, at most 10 min. @default "10s"
   */
  readonly heartbeat?: Duration;
  /** How long one try to connect to one node may take, handshake included. @default "10s" */
  readonly connectTimeout?: Duration;
  /** Shown in the management page; " (publish)" and " (consume)" are put after it. @default the name of the service */
  readonly connectionName?: string;
  /** For `amqps://`. The server's certificate is always checked. */
  readonly tls?: RabbitMqTlsOptions;
}

/** Certificates as PEM text, or the files that hold them, which are read again for each connection. */
export interface RabbitMqTlsOptions {
  /** Authorities that the server's certificate may come from. @default those that Node.js trusts */
  readonly ca?: string;
  readonly caFile?: string;
  /** The client's own certificate, when the server asks for one. */
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly passphrase?: string;
  /** The name that the server's certificate must bear. @default the host of the URL */
  readonly serverName?: string;
}

/** Checked and complete: what the rest of the adapter sees. */
export interface ResolvedOptions {
  readonly addresses: readonly Address[];
  readonly heartbeatSeconds: number;
  readonly connectTimeoutMs: number;
  readonly connectionName: string | undefined;
  readonly tls: TlsMaterial;
}

/** @default of {@link RabbitMqOptions.heartbeat}: a dead peer is noticed in 20 to 30 s, within the publish timeout of 30 s. */
export const DEFAULT_HEARTBEAT: Duration = "10s";
/** @default of {@link RabbitMqOptions.connectTimeout} */
export const DEFAULT_CONNECT_TIMEOUT: Duration = "10s";

const MAX_HEARTBEAT_MS = 600_000;
const MAX_CONNECT_TIMEOUT_MS = 600_000;
const OPTIONS: readonly string[] = [
  "url",
  "username",
  "password",
  "heartbeat",
  "connectTimeout",
  "connectionName",
  "tls",
] satisfies (keyof RabbitMqOptions)[];
/** The parameters that a URL may carry, and the option that each stands for. */
const PARAMETERS: Readonly<Record<string, keyof RabbitMqOptions | keyof RabbitMqTlsOptions>> = {
  heartbeat: "heartbeat",
  "connect-timeout": "connectTimeout",
  "connection-name": "connectionName",
  "ca-file": "caFile",
  "cert-file": "certFile",
  "key-file": "keyFile",
  "server-name": "serverName",
};

/** @throws TrolleybusError "configuration" listing every mistake. */
export function resolveOptions(given: RabbitMqOptions, headline = "Wrong options for rabbitmq()"): ResolvedOptions {
  const mistakes = new Mistakes();
  const options = optionsIn(given);
  if (isOptionsObject(given)) mistakes.unknownKeys("rabbitmq()", given, OPTIONS);
  else mistakes.add('the options must be an object, such as { url: "amqp://localhost" }.');

  const addresses = addressesOf(options["url"], mistakes);
  const username = mistakes.text("username", options["username"]);
  const password = mistakes.text("password", options["password"]);
  const parameters = commonParameters(addresses, mistakes);
  const tls = tlsOf(options["tls"], parameters, mistakes);
  const resolved: ResolvedOptions = {
    addresses: addresses.map((address) => ({ ...address, username: username ?? address.username, password: password ?? address.password })),
    heartbeatSeconds: seconds("heartbeat", options["heartbeat"] ?? parameters["heartbeat"] ?? DEFAULT_HEARTBEAT, mistakes),
    connectTimeoutMs: timeout(
      "connectTimeout",
      options["connectTimeout"] ?? parameters["connect-timeout"] ?? DEFAULT_CONNECT_TIMEOUT,
      mistakes,
    ),
    connectionName: mistakes.text("connectionName", options["connectionName"] ?? parameters["connection-name"]),
    tls,
  };
  if (!mistakes.any && tls.isGiven && addresses.some((address) => !address.secure)) {
    mistakes.add('tls is given, but a URL begins with "amqp:", which does not encrypt. Write "amqps:".');
  }
  mistakes.throwIfAny(headline);
  return resolved;
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromUrl(url: string): ResolvedOptions {
  return resolveOptions({ url }, "Wrong URL for the RabbitMQ transport");
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromConfig(config: TransportConfig): ResolvedOptions {
  const { type, ...options } = config;
  if (type !== "rabbitmq") {
    const mistakes = new Mistakes();
    mistakes.add(`type must be "rabbitmq", not ${JSON.stringify(type)}.`);
    mistakes.throwIfAny("Wrong options for the RabbitMQ transport");
  }
  return resolveOptions(options as unknown as RabbitMqOptions, "Wrong options for the RabbitMQ transport");
}

function addressesOf(url: unknown, mistakes: Mistakes): readonly Address[] {
  const urls: readonly unknown[] = Array.isArray(url) ? url : [url];
  if (urls.length === 0) mistakes.add("url is an empty list; name at least one node.");
  return urls
    .map((one, index) => addressFromUrl(one, Array.isArray(url) ? `url[${index}]` : "url", mistakes))
    .filter((address) => address !== undefined);
}

function commonParameters(addresses: readonly Address[], mistakes: Mistakes): Readonly<Record<string, unknown>> {
  const common: Record<string, unknown> = {};
  for (const { parameters } of addresses) {
    mistakes.unknownKeys("the amqp URL", Object.fromEntries(parameters), Object.keys(PARAMETERS));
    for (const [name, value] of parameters) {
      if (!Object.hasOwn(PARAMETERS, name)) continue;
      if (name in common && common[name] !== value)
        mistakes.add(`the URLs, or one of them, give the parameter "${name}" more than once and not alike.`);
      common[name] = value;
    }
  }
  // In RabbitMQ's own URI parameters a bare number of the heartbeat is seconds.
  if (typeof common["heartbeat"] === "string" && /^\d{1,4}$/.test(common["heartbeat"])) common["heartbeat"] = `${common["heartbeat"]}s`;
  return common;
}

function tlsOf(given: unknown, parameters: Readonly<Record<string, unknown>>, mistakes: Mistakes): TlsMaterial {
  if (given !== undefined && !isOptionsObject(given)) mistakes.add('tls must be an object, such as { caFile: "/etc/ssl/our-ca.pem" }.');
  return new TlsMaterial(given, parameters, mistakes);
}

function seconds(name: string, value: unknown, mistakes: Mistakes): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms % 1000 === 0 && ms <= MAX_HEARTBEAT_MS) return ms / 1000;
  mistakes.add(`${name} must be whole seconds up to 10 minutes, such as "10s", not ${JSON.stringify(value)}.`);
  return 0;
}

function timeout(name: string, value: unknown, mistakes: Mistakes): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms > 0 && ms <= MAX_CONNECT_TIMEOUT_MS) return ms;
  mistakes.add(`${name} must be a duration of more than 0 and at most 10 minutes, such as "10s", not ${JSON.stringify(value)}.`);
  return 0;
}
