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
  // Before the texts are read: what they say is of the authority that gives the tokens, not of the namespace.
  const credential = credentialTrouble(error);
  if (credential === "permanent") {
    return permanent(
      `The credential has no token for the Service Bus namespace ${namespace}: ${text}. Check what the credential is made of: client id, secret or certificate, tenant, or the identity of the machine.`,
    );
  }
  if (credential === "passing")
    return unavailable(`The credential has no token yet for the Service Bus namespace ${namespace}: ${text}`, error);
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
  return unavailable(`The Service Bus namespace ${namespace} cannot be reached: ${text}`, error);
}

/** Names of the errors of @azure/identity; that several credentials had none is an `AggregateAuthenticationError` of theirs. */
const CREDENTIAL_ERRORS = new Set(["CredentialUnavailableError", "AuthenticationError", "AuthenticationRequiredError"]);
/**
 * What the authority, or the way to it, says that may pass, by the codes of OAuth (RFC 6749, 4.1.2.1) and of MSAL. The status tells nothing: `EnvironmentCredential` calls
 * everything a 400.
 */
const PASSING =
  /network_error|endpoints_resolution_error|temporarily_unavailable|server_error|request_timeout|Status code: (?:408|429|5\d\d)\b/;

/** Whether a credential had no token, and may have one later. A wrong secret has the same names as an authority that is down. */
function credentialTrouble(error: unknown): "permanent" | "passing" | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof AggregateError) return credentialTrouble(error.errors.at(-1));
  if (error.name === "AggregateAuthenticationError") {
    const members: readonly unknown[] = "errors" in error && Array.isArray(error.errors) ? error.errors : [];
    return members.some((member) => credentialTrouble(member) === "passing") ? "passing" : "permanent";
  }
  if (!CREDENTIAL_ERRORS.has(error.name)) return undefined;
  // A machine that has no identity says that its network cannot be reached.
  if (/^ManagedIdentityCredential/.test(error.message)) return "permanent";
  return PASSING.test(error.message) ? "passing" : "permanent";
}
