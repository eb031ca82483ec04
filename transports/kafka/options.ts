import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Duration } from "../../src/contracts/duration.js";
import { parseDuration } from "../../src/util/duration.js";
import { Mistakes } from "../../src/util/mistakes.js";
import { mistakeInMessageType } from "../../src/util/names.js";
import { isOptionsObject, optionsIn } from "../../src/util/options-object.js";
import type { TlsMaterial } from "../../src/util/tls-material.js";
import { type KafkaSaslOptions, type KafkaTlsOptions, resolveSasl, resolveTls } from "./security-options.js";
import { brokersOf, type KafkaUrl, partsOfUrl } from "./url.js";

/** What `kafka()` takes. */
export interface KafkaOptions {
  /** Some brokers of the cluster, as "host:9092": the others are learnt from them. This or `url`. */
  readonly brokers?: string | readonly string[];
  /** `kafka://user:password@host1:9092,host2:9092`; may carry some of the options below as parameters, see `docs/kafka.md`. */
  readonly url?: string;
  /** Shown in the brokers' logs and quotas. @default the name of the service */
  readonly clientId?: string;
  /** Encryption: `true`, or with certificates. The brokers' certificates are always checked. @default false */
  readonly tls?: boolean | KafkaTlsOptions;
  readonly sasl?: KafkaSaslOptions;
  /** Of what is sent; what is received is read in any of them. Others than "gzip" need their codec in `codecs`. @default "none" */
  readonly compression?: KafkaCompression;
  /** What kafkajs does not bring itself, in the form of its plug-ins: `{ zstd: ZstdCodec() }`. kafkajs keeps them for the whole process. */
  readonly codecs?: Readonly<Partial<Record<"snappy" | "lz4" | "zstd", KafkaCodec>>>;
  /** Message types that do not stand on a topic of their own name, with their topic: the same in all services. The bus's `namePrefix` comes before it. */
  readonly topics?: Readonly<Record<string, string>>;
  /** Of topics that the bus makes. @default the cluster's own (`num.partitions`) */
  readonly partitions?: number;
  /** Copies of each partition of topics that the bus makes. @default the cluster's own (`default.replication.factor`) */
  readonly replication?: number;
  /** How long topics of events and commands that the bus makes keep what nobody has handled. @default the cluster's own (`log.retention.hours`, a week) */
  readonly retention?: Duration | "unlimited";
  /** How long one try to connect to one broker may take. @default "10s" */
  readonly connectTimeout?: Duration;
  /**
   * How long a broker may take for an answer; a message not confirmed by then is sent again, with the same id, while the publish timeout
   * lasts. @default "15s"
   */
  readonly requestTimeout?: Duration;
  /** After so long without a sign of an instance its partitions go to others. Between the broker's `group.min.session.timeout.ms` and `…max…`. @default "10s" */
  readonly sessionTimeout?: Duration;
  /** Where an endpoint begins that has never read a topic: what is published from now on, all that is kept, or what came after a time. @default "now" */
  readonly from?: "now" | "beginning" | Date;
}

export type KafkaCompression = "none" | "gzip" | "snappy" | "lz4" | "zstd";
/** Makes a codec, as kafkajs's plug-ins do. */
export type KafkaCodec = () => {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
};
export type StartPosition = "now" | "beginning" | { readonly time: number };

/** Checked and complete: what the rest of the adapter sees. */
export interface ResolvedOptions {
  readonly brokers: readonly string[];
  readonly clientId: string | undefined;
  readonly tls: TlsMaterial | undefined;
  readonly sasl: KafkaSaslOptions | undefined;
  readonly compression: KafkaCompression;
  readonly codecs: Readonly<Partial<Record<"snappy" | "lz4" | "zstd", KafkaCodec>>>;
  readonly topics: Readonly<Record<string, string>>;
  /** -1: the cluster's own. */
  readonly partitions: number;
  /** -1: the cluster's own. */
  readonly replication: number;
  /** -1: unlimited; `undefined`: the cluster's own. */
  readonly retentionMs: number | undefined;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly from: StartPosition;
}

/** @default of {@link KafkaOptions.connectTimeout} */
export const DEFAULT_CONNECT_TIMEOUT: Duration = "10s";
/** @default of {@link KafkaOptions.requestTimeout}: half of the publish timeout, so that a frozen broker leaves time for a second try. */
export const DEFAULT_REQUEST_TIMEOUT: Duration = "15s";
/** @default of {@link KafkaOptions.sessionTimeout} */
export const DEFAULT_SESSION_TIMEOUT: Duration = "10s";

const MAX_TIMEOUT_MS = 600_000;
const COMPRESSIONS: readonly unknown[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const OPTIONS: readonly string[] = [
  "brokers",
  "url",
  "clientId",
  "tls",
  "sasl",
  "compression",
  "codecs",
  "topics",
  "partitions",
  "replication",
  "retention",
  "connectTimeout",
  "requestTimeout",
  "sessionTimeout",
  "from",
] satisfies (keyof KafkaOptions)[];
/** The parameters that a URL may carry. */
const PARAMETERS: readonly string[] = [
  "client-id",
  "tls",
  "ca-file",
  "cert-file",
  "key-file",
  "server-name",
  "sasl",
  "compression",
  "partitions",
  "replication",
  "retention",
  "connect-timeout",
  "request-timeout",
  "session-timeout",
  "from",
];
const NO_URL: KafkaUrl = { brokers: [], username: "", password: "", parameters: new URLSearchParams() };

/** @throws TrolleybusError "configuration" listing every mistake. */
export function resolveOptions(given: KafkaOptions, headline = "Wrong options for kafka()"): ResolvedOptions {
  const mistakes = new Mistakes();
  const options = optionsIn(given);
  if (isOptionsObject(given)) mistakes.unknownKeys("kafka()", given, OPTIONS);
  else mistakes.add('the options must be an object, such as { brokers: "localhost:9092" }.');
  const url = options["url"] === undefined ? NO_URL : (partsOfUrl(options["url"], mistakes) ?? NO_URL);
  const parameters = parametersOf(url, mistakes);
  const duration = (name: keyof KafkaOptions, parameter: string, byDefault: Duration): number =>
    timeout(name, options[name] ?? parameters[parameter] ?? byDefault, mistakes);
  const codecs = codecsOf(options["codecs"], mistakes);
  const resolved: ResolvedOptions = {
    brokers: brokers(options, url, mistakes),
    clientId: mistakes.text("clientId", options["clientId"] ?? parameters["client-id"]),
    tls: resolveTls(options["tls"], parameters, mistakes),
    sasl: resolveSasl(options["sasl"], { ...url, mechanism: parameters["sasl"] }, mistakes),
    compression: compression(options["compression"] ?? parameters["compression"] ?? "none", codecs, mistakes),
    codecs,
    topics: topicsOf(options["topics"], mistakes),
    partitions: count("partitions", options["partitions"] ?? parameters["partitions"], mistakes),
    replication: count("replication", options["replication"] ?? parameters["replication"], mistakes),
    retentionMs: retention(options["retention"] ?? parameters["retention"], mistakes),
    connectTimeoutMs: duration("connectTimeout", "connect-timeout", DEFAULT_CONNECT_TIMEOUT),
    requestTimeoutMs: duration("requestTimeout", "request-timeout", DEFAULT_REQUEST_TIMEOUT),
    sessionTimeoutMs: duration("sessionTimeout", "session-timeout", DEFAULT_SESSION_TIMEOUT),
    from: start(options["from"] ?? parameters["from"] ?? "now", mistakes),
  };
  mistakes.throwIfAny(headline);
  return resolved;
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromUrl(url: string): ResolvedOptions {
  return resolveOptions({ url }, "Wrong URL for the Kafka transport");
}

/** @throws TrolleybusError "configuration" listing every mistake. */
export function optionsFromConfig(config: TransportConfig): ResolvedOptions {
  const { type, ...options } = config;
  if (type !== "kafka") {
    const mistakes = new Mistakes();
    mistakes.add(`type must be "kafka", not ${JSON.stringify(type)}.`);
    mistakes.throwIfAny("Wrong options for the Kafka transport");
  }
  return resolveOptions(options as unknown as KafkaOptions, "Wrong options for the Kafka transport");
}

function brokers(options: Readonly<Record<string, unknown>>, url: KafkaUrl, mistakes: Mistakes): readonly string[] {
  const given = options["brokers"];
  if (given === undefined) {
    if (options["url"] === undefined) mistakes.add('brokers is missing; name some, such as ["kafka-1:9092", "kafka-2:9092"].');
    return url.brokers;
  }
  if (options["url"] !== undefined) mistakes.add("brokers and url are both given; one is enough.");
  const list: readonly unknown[] = Array.isArray(given) ? given : typeof given === "string" ? given.split(",") : [given];
  if (list.length === 0) mistakes.add("brokers is an empty list; name at least one.");
  return brokersOf(list, "brokers", mistakes);
}

function parametersOf({ parameters }: KafkaUrl, mistakes: Mistakes): Readonly<Record<string, string>> {
  const given = Object.fromEntries(parameters);
  mistakes.unknownKeys("the kafka URL", given, PARAMETERS);
  for (const name of new Set(parameters.keys())) {
    if (parameters.getAll(name).length > 1) mistakes.add(`the URL gives the parameter "${name}" more than once.`);
  }
  return given;
}

function compression(value: unknown, codecs: ResolvedOptions["codecs"], mistakes: Mistakes): KafkaCompression {
  if (!COMPRESSIONS.includes(value)) {
    mistakes.add(`compression is ${JSON.stringify(value)}; it is "none", "gzip", "snappy", "lz4" or "zstd".`);
    return "none";
  }
  const known = value as KafkaCompression;
  if (known !== "none" && known !== "gzip" && codecs[known] === undefined)
    mistakes.add(`compression is "${known}", for which kafkajs needs a plug-in: give it in codecs, as { ${known}: … }.`);
  return known;
}

function codecsOf(given: unknown, mistakes: Mistakes): ResolvedOptions["codecs"] {
  if (given === undefined) return {};
  if (!isOptionsObject(given)) {
    mistakes.add("codecs must be an object, such as { zstd: ZstdCodec() }.");
    return {};
  }
  mistakes.unknownKeys("codecs", given, ["snappy", "lz4", "zstd"]);
  for (const [name, codec] of Object.entries(given)) {
    if (typeof codec !== "function") mistakes.add(`codecs.${name} must be a function that makes the codec, as kafkajs's plug-ins have it.`);
  }
  return given;
}

function topicsOf(given: unknown, mistakes: Mistakes): Readonly<Record<string, string>> {
  if (given === undefined) return {};
  if (!isOptionsObject(given)) {
    mistakes.add('topics must be an object of message types with their topics, such as { "orders.placed": "orders" }.');
    return {};
  }
  for (const [type, topic] of Object.entries(given)) {
    const mistake = mistakeInMessageType(type);
    if (mistake) mistakes.add(`topics: ${mistake}`);
    if (typeof topic !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(topic))
      mistakes.add(`topics: that of "${type}" must be 1 to 200 letters, digits, ".", "_" and "-", beginning with a letter or digit.`);
    else if (topic.split(".").some((part) => part === "retry" || part === "dead-letter"))
      mistakes.add(`topics: "${topic}" has a part that is reserved for the topics that the bus makes ("retry", "dead-letter").`);
  }
  return { ...(given as Readonly<Record<string, string>>) };
}

function count(name: string, value: unknown, mistakes: Mistakes): number {
  if (value === undefined) return -1;
  const number = typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 1) return number;
  mistakes.add(`${name} must be a whole number from 1, not ${JSON.stringify(value)}; leave it out for the cluster's own.`);
  return -1;
}

function retention(value: unknown, mistakes: Mistakes): number | undefined {
  if (value === undefined) return undefined;
  if (value === "unlimited") return -1;
  const ms = parseDuration(value);
  if (ms !== undefined && ms >= 1000) return Math.round(ms);
  mistakes.add(`retention must be a duration of at least a second, such as "7d", or "unlimited", not ${JSON.stringify(value)}.`);
  return undefined;
}

function start(value: unknown, mistakes: Mistakes): StartPosition {
  if (value === "now" || value === "beginning") return value;
  const time = value instanceof Date ? value.getTime() : typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (!Number.isNaN(time)) return { time };
  mistakes.add('from must be "now", "beginning" or a date.');
  return "now";
}

function timeout(name: string, value: unknown, mistakes: Mistakes): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms > 0 && ms <= MAX_TIMEOUT_MS) return ms;
  mistakes.add(`${name} must be a duration of more than 0 and at most 10 minutes, such as "10s", not ${JSON.stringify(value)}.`);
  return 0;
}
