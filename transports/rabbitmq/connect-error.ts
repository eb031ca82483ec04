import { isOlder } from "../../src/util/package-version.js";
import { RabbitMqError, type ServerAnswer, serverAnswer, textOf, unavailable } from "./errors.js";
import type { Address } from "./url.js";

/** The first version with quorum queues that dead-letter at least once; before it a delayed retry could be lost by the broker. */
export const OLDEST_SERVER = "3.10.0";

/** What Node.js and OpenSSL say of a certificate that is not to be trusted. */
const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Refusals (530) that end by themselves: `connection limit (10) is reached`, of a virtual host, a user or a node. */
const PASSING_REFUSAL = /limit \(?\S+\)? is reached|is down/;

/** `host:port`, the only part of a URL that a text may name beside the user and the virtual host. */
export function nodeOf(address: Address): string {
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether the server closed the connection where it should have opened the virtual host: amqplib then keeps the reason to itself. */
export function isUnexplained(error: unknown): boolean {
  return /Expected ConnectionOpenOk; got <ConnectionClose/.test(textOf(error));
}

/**
 * What went wrong with one try to connect, in words. "configuration", not retryable: it cannot succeed before somebody changes
 * something; everything else may pass.
 * @param answer what the server said, where it is known
 */
export function connectError(error: unknown, address: Address, answer: ServerAnswer | undefined = serverAnswer(error)): RabbitMqError {
  const node = nodeOf(address);
  const permanent = (text: string): RabbitMqError => new RabbitMqError("configuration", text, { retryable: false, cause: error });
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const user = `the user "${address.username}"`;
  if (answer?.code === 403)
    return permanent(`RabbitMQ at ${node} refused the login of ${user}. Check user and password in the option "url".`);
  if (answer?.code === 530 && !PASSING_REFUSAL.test(answer.text)) {
    return permanent(
      `RabbitMQ at ${node} does not let ${user} into the virtual host "${address.virtualHost}" (${answer.text}): it does not exist there, or the user has no ` +
        'permissions in it. Check the path of the option "url", or add the virtual host and the permissions.',
    );
  }
  if (answer) return unavailable(`RabbitMQ at ${node} closed the connection: ${answer.text}.`, error);
  if (isUnexplained(error)) return unavailable(`RabbitMQ at ${node} did not open the virtual host "${address.virtualHost}".`, error);
  if (code === "ENOTFOUND") return permanent(`The host name of RabbitMQ at ${node} is not known. Check the option "url".`);
  if (CERTIFICATE_CODES.has(code)) {
    return permanent(
      `The certificate of RabbitMQ at ${node} is not trusted: ${textOf(error)}. Give the authority that issued it (option tls.ca or tls.caFile), ` +
        "or the name that it bears (tls.serverName).",
    );
  }
  if (code.startsWith("ERR_SSL_") || code.startsWith("ERR_OSSL_") || code === "EPROTO") {
    return permanent(
      `TLS with RabbitMQ at ${node} failed: ${textOf(error).split("\n")[0]}. Check that this is its TLS port (5671 by default), ` +
        'write "amqp:" where it has none, and check tls.cert and tls.key where it asks for a certificate.',
    );
  }
  if (/^SASL mechanism/.test(textOf(error))) {
    return permanent(`RabbitMQ at ${node} does not take user and password (SASL PLAIN). Enable auth_mechanisms PLAIN there.`);
  }
  return unavailable(`RabbitMQ at ${node} cannot be reached: ${textOf(error) || code}`, error);
}

/**
 * Whether the server can keep what is promised. @returns what is wrong, or `undefined`. A product that is not RabbitMQ is let
 * through: it fails, with its own words, where the topology asks for what it has not.
 */
export function mistakeInServer(
  properties: { readonly product?: unknown; readonly version?: unknown },
  address: Address,
): RabbitMqError | undefined {
  const { product, version } = properties;
  if (product !== "RabbitMQ" || typeof version !== "string" || !isOlder(version, OLDEST_SERVER)) return undefined;
  return new RabbitMqError(
    "configuration",
    `RabbitMQ at ${nodeOf(address)} is version ${version}; ${OLDEST_SERVER} or later is needed: older ones cannot hold a delayed retry without the ` +
      "risk of losing it (dead-lettering at least once on quorum queues). Upgrade the broker.",
    { retryable: false },
  );
}
