import { AzureServiceBusError, serviceAnswer, unavailable } from "./errors.js";
import type { Authority } from "./options.js";

/** What Node.js and OpenSSL say of a certificate that is not to be trusted. */
const CERTIFICATE = /self[- ]signed certificate|unable to (?:get|verify)|certificate has expired|CERT_|Hostname\/IP does not match/i;

/** `host:port`, the only part of the authority that a text may name beside the policy. */
export function namespaceOf(authority: Authority): string {
  if (authority.by === "credential") return authority.namespace;
  const { host, port } = authority.address;
  return port === undefined ? host : `${host}:${port}`;
}

/**
 * What went wrong with one try to connect, in words. "configuration", not retryable: it cannot succeed before somebody changes
 * something; everything else may pass. @returns `undefined` when the service knows us, and only a right is missing where we knocked
 */
export function connectError(error: unknown, namespace: string): AzureServiceBusError | undefined {
  const { code, text } = serviceAnswer(error);
  const permanent = (what: string): AzureServiceBusError =>
    new AzureServiceBusError("configuration", what, { retryable: false, cause: error });
  if (/ENOTFOUND/.test(text)) {
    return permanent(
      `The host name of the Service Bus namespace ${namespace} is not known: there is no such namespace. Check its name in the URL, the connection string or the option "fullyQualifiedNamespace".`,
    );
  }
  if (code === "UnauthorizedAccess") {
    // The key fits; it is only not the right one for the name that no entity has.
    if (/claim/i.test(text) && !/signature|token is (?:invalid|expired)/i.test(text)) return undefined;
    return permanent(
      `The Service Bus namespace ${namespace} refused the login: ${text}. Check the shared access policy and its key (or the roles of the credential: "Azure Service Bus Data Sender" and "Receiver").`,
    );
  }
  if (CERTIFICATE.test(text)) {
    return permanent(
      `The certificate of ${namespace} is not trusted: ${text}. For an emulator say development=true (UseDevelopmentEmulator=true).`,
    );
  }
  if (/EPROTO|ssl3_get_record|wrong version number|SSL routines/i.test(text)) {
    return permanent(
      `TLS with ${namespace} failed: ${text}. An emulator speaks without TLS: say development=true (UseDevelopmentEmulator=true); for Azure itself leave the port out.`,
    );
  }
  if (error instanceof Error && error.name === "CredentialUnavailableError") {
    return permanent(`The credential has no token for the Service Bus namespace ${namespace}: ${text}`);
  }
  return unavailable(`The Service Bus namespace ${namespace} cannot be reached: ${text}`, error);
}
