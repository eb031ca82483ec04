import type { Mistakes } from "../../src/util/mistakes.js";

/** What a URL of Kafka says. */
export interface KafkaUrl {
  readonly brokers: readonly string[];
  /** "" where it names nobody. */
  readonly username: string;
  readonly password: string;
  readonly parameters: URLSearchParams;
}

const EXAMPLE = 'write it as "kafka://user:password@host1:9092,host2:9092", with user and password percent-encoded.';
const FORM = /^kafka:\/\/(?:([^@/?#]*)@)?([^@/?#]*)(\/[^?#]*)?(?:\?([^#]*))?(#.*)?$/is;
const HOST_AND_PORT = /^([A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;
/** Kafka's own default. */
const DEFAULT_PORT = 9092;

/** Reads a URL of one or several brokers; notes what is wrong, never quoting what can hold a password. */
export function partsOfUrl(url: unknown, mistakes: Mistakes): KafkaUrl | undefined {
  const known = mistakes.all.length;
  const match = typeof url === "string" ? FORM.exec(url) : null;
  if (!match) {
    mistakes.add(`the URL is ${url === undefined ? "missing" : 'not one of Kafka (it begins with "kafka://")'}; ${EXAMPLE}`);
    return undefined;
  }
  const [, user, hosts = "", path, query, fragment] = match;
  if (fragment !== undefined) mistakes.add('the URL has a "#": percent-encode it as %23 where it belongs to the password.');
  if (path !== undefined && path !== "/") mistakes.add("the URL has a path, which means nothing to Kafka. Leave it out.");
  if (hosts === "") mistakes.add(`the URL names no host; ${EXAMPLE}`);
  const colon = user?.indexOf(":") ?? -1;
  const parts: KafkaUrl = {
    brokers: hosts === "" ? [] : brokersOf(hosts.split(","), "the URL", mistakes),
    username: decoded(colon < 0 ? (user ?? "") : (user ?? "").slice(0, colon), "the user in the URL", mistakes),
    password: decoded(colon < 0 ? "" : (user ?? "").slice(colon + 1), "the password in the URL", mistakes),
    parameters: new URLSearchParams(query),
  };
  return mistakes.all.length === known ? parts : undefined;
}

/** Checks `host:port` of each broker; a missing port is Kafka's own. */
export function brokersOf(given: readonly unknown[], where: string, mistakes: Mistakes): readonly string[] {
  return given.map((broker, index) => {
    const match = typeof broker === "string" ? HOST_AND_PORT.exec(broker.trim()) : null;
    const port = Number(match?.[2] ?? DEFAULT_PORT);
    if (!match || port < 1 || port > 65_535) {
      mistakes.add(
        `${where}: broker ${index + 1} of ${given.length} must be written as "host:9092", the host as a name or an IPv4 address.`,
      );
      return "";
    }
    return `${match[1]}:${port}`;
  });
}

function decoded(text: string, what: string, mistakes: Mistakes): string {
  try {
    return decodeURIComponent(text);
  } catch {
    mistakes.add(`${what} is not percent-encoded correctly.`);
    return "";
  }
}
