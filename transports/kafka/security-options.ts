import { readFileSync } from "node:fs";
import type { Mistakes } from "../../src/util/mistakes.js";
import { isOptionsObject, optionsIn } from "../../src/util/options-object.js";

/** Certificates as PEM text, or the files that hold them. */
export interface KafkaTlsOptions {
  /** Authorities that the brokers' certificates may come from. @default those that Node.js trusts */
  readonly ca?: string;
  readonly caFile?: string;
  /** The client's own certificate, when the brokers ask for one. */
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly passphrase?: string;
  /** The name that the brokers' certificates must bear. @default the host of each broker */
  readonly serverName?: string;
}

/** Who we are. */
export type KafkaSaslOptions =
  | { readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; readonly username: string; readonly password: string }
  /** `token` is asked for one whenever a connection is made, and before the broker would end a session. */
  | { readonly mechanism: "oauthbearer"; readonly token: () => string | Promise<string> };

export interface ResolvedTls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
  readonly serverName: string | undefined;
}

const TLS_TEXTS = ["ca", "cert", "key"] as const;
const TLS_OPTIONS: readonly string[] = [
  "ca",
  "caFile",
  "cert",
  "certFile",
  "key",
  "keyFile",
  "passphrase",
  "serverName",
] satisfies (keyof KafkaTlsOptions)[];
const PASSWORD_MECHANISMS: readonly unknown[] = ["plain", "scram-sha-256", "scram-sha-512"];

/** @param parameters those of the URL, which may say the same */
export function resolveTls(given: unknown, parameters: Readonly<Record<string, string>>, mistakes: Mistakes): ResolvedTls | undefined {
  const wanted = given ?? flag(parameters["tls"], mistakes);
  const options = optionsIn(wanted);
  if (isOptionsObject(wanted)) mistakes.unknownKeys("tls", wanted, TLS_OPTIONS);
  else if (wanted !== undefined && typeof wanted !== "boolean")
    mistakes.add('tls must be true, false or an object, such as { caFile: "/etc/ssl/our-ca.pem" }.');
  const [ca, cert, key] = TLS_TEXTS.map((name) => {
    const inline = text(`tls.${name}`, options[name], mistakes);
    const file = text(`tls.${name}File`, options[`${name}File`] ?? parameters[`${name}-file`], mistakes);
    if (inline !== undefined && file !== undefined) mistakes.add(`tls.${name} and tls.${name}File are both given; one is enough.`);
    return inline ?? (file === undefined ? undefined : contentOf(`tls.${name}File`, file, mistakes));
  });
  if ((cert === undefined) !== (key === undefined)) mistakes.add("tls.cert and tls.key belong together; one of them is missing.");
  const passphrase = text("tls.passphrase", options["passphrase"], mistakes);
  const resolved = {
    ca,
    cert,
    key,
    passphrase,
    serverName: text("tls.serverName", options["serverName"] ?? parameters["server-name"], mistakes),
  };
  const isGiven = Object.values(resolved).some((value) => value !== undefined);
  if (isGiven && (wanted === false || wanted === undefined))
    mistakes.add('certificates are given, but tls is not on: nothing would be encrypted. Add tls: true, or "tls=true" to the URL.');
  return wanted === undefined || wanted === false ? undefined : resolved;
}

/** @param url who the URL names */
export function resolveSasl(
  given: unknown,
  url: { readonly username: string; readonly password: string; readonly mechanism: string | undefined },
  mistakes: Mistakes,
): KafkaSaslOptions | undefined {
  const byUrl = url.username !== "" || url.mechanism !== undefined;
  if (given !== undefined && byUrl) mistakes.add("sasl is given, and the URL names a user too. Leave one of the two out.");
  const options = given ?? (byUrl ? { mechanism: url.mechanism ?? "plain", username: url.username, password: url.password } : undefined);
  if (options === undefined) return undefined;
  if (!isOptionsObject(options)) {
    mistakes.add('sasl must be an object, such as { mechanism: "scram-sha-512", username: "orders", password }.');
    return undefined;
  }
  const { mechanism, username, password, token } = options as Readonly<Record<string, unknown>>;
  if (mechanism === "oauthbearer") {
    mistakes.unknownKeys("sasl", options, ["mechanism", "token"]);
    if (typeof token === "function") return { mechanism, token: token as () => string | Promise<string> };
    mistakes.add("sasl.token must be a function that gives a token, or a promise of one; a URL cannot say it.");
  } else if (PASSWORD_MECHANISMS.includes(mechanism)) {
    mistakes.unknownKeys("sasl", options, ["mechanism", "username", "password"]);
    const name = text("sasl.username", username, mistakes);
    const secret = text("sasl.password", password, mistakes);
    if (name !== undefined && secret !== undefined)
      return { mechanism: mechanism as "plain" | "scram-sha-256" | "scram-sha-512", username: name, password: secret };
    if (username === undefined || password === undefined) mistakes.add("sasl needs a username and a password.");
  } else {
    mistakes.add(`sasl.mechanism is ${JSON.stringify(mechanism)}; it is "plain", "scram-sha-256", "scram-sha-512" or "oauthbearer".`);
  }
  return undefined;
}

function flag(value: string | undefined, mistakes: Mistakes): boolean | undefined {
  if (value === undefined || value === "true" || value === "false") return value === undefined ? undefined : value === "true";
  mistakes.add('the parameter "tls" of the URL is "true" or "false".');
  return undefined;
}

function contentOf(name: string, path: string, mistakes: Mistakes): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    mistakes.add(`${name}: ${error instanceof Error ? error.message : String(error)}.`);
    return undefined;
  }
}

function text(name: string, value: unknown, mistakes: Mistakes): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && value !== "") return value;
  mistakes.add(`${name} must be text that is not empty.`);
  return undefined;
}
