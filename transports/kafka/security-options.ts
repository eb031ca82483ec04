import type { Mistakes } from "../../src/util/mistakes.js";
import { isOptionsObject } from "../../src/util/options-object.js";
import { TlsMaterial } from "../../src/util/tls-material.js";

/** Certificates as PEM text, or the files that hold them, which are read again for each connection. */
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

const PASSWORD_MECHANISMS: readonly unknown[] = ["plain", "scram-sha-256", "scram-sha-512"];

/** @param parameters those of the URL, which may say the same */
export function resolveTls(given: unknown, parameters: Readonly<Record<string, string>>, mistakes: Mistakes): TlsMaterial | undefined {
  const wanted = given ?? flag(parameters["tls"], mistakes);
  if (wanted !== undefined && typeof wanted !== "boolean" && !isOptionsObject(wanted))
    mistakes.add('tls must be true, false or an object, such as { caFile: "/etc/ssl/our-ca.pem" }.');
  const material = new TlsMaterial(wanted, parameters, mistakes);
  const isOn = wanted !== undefined && wanted !== false;
  if (material.isGiven && !isOn)
    mistakes.add('certificates are given, but tls is not on: nothing would be encrypted. Add tls: true, or "tls=true" to the URL.');
  return isOn ? material : undefined;
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
    const name = mistakes.text("sasl.username", username);
    const secret = mistakes.text("sasl.password", password);
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
