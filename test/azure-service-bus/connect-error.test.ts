import { expect, test } from "vitest";
import { connectError } from "../../transports/azure-service-bus/connect-error.js";

/** As @azure/identity 4.13 throws it. */
function credentialError(name: string, text: string, more: object = {}): Error {
  return Object.assign(new Error(text), { name }, more);
}

function chained(...errors: Error[]): Error {
  return credentialError("AggregateAuthenticationError", `ChainedTokenCredential authentication failed.\n${errors.join("\n")}`, { errors });
}

const WRONG_SECRET =
  "invalid_client: Error(s): 7000215 - Timestamp: Not Available - Description: AADSTS7000215: Invalid client secret provided. - Correlation ID: Not Available";
const NO_NETWORK = "network_error: See https://aka.ms/msal.js.errors#network_error for details";
const ENVIRONMENT =
  "EnvironmentCredential authentication failed. To troubleshoot, visit https://aka.ms/azsdk. Status code: 400\nMore details:\n";
const NO_IDENTITY = credentialError("CredentialUnavailableError", `ManagedIdentityCredential: Network unreachable. Message: ${NO_NETWORK}`);
const NOTHING_SET = credentialError(
  "CredentialUnavailableError",
  "EnvironmentCredential is unavailable. No underlying credential could be used.",
);

test.each([
  ["a wrong secret", credentialError("AuthenticationRequiredError", WRONG_SECRET)],
  ["a wrong secret in the environment", credentialError("AuthenticationError", `${ENVIRONMENT}${WRONG_SECRET},`, { statusCode: 400 })],
  ["nothing set", NOTHING_SET],
  ["a machine without an identity", NO_IDENTITY],
  ["a chain of which none has a token", chained(NOTHING_SET, NO_IDENTITY)],
  ["a chain with a wrong secret", chained(NO_IDENTITY, credentialError("AuthenticationRequiredError", WRONG_SECRET))],
  [
    "what the client tried more than once",
    new AggregateError([new Error("first"), credentialError("AuthenticationRequiredError", WRONG_SECRET)]),
  ],
])("a credential that has no token, and will have none, fails the start: %s", (_, error) => {
  const told = connectError(error, "shop.servicebus.windows.net");
  expect(told).toMatchObject({ code: "configuration", retryable: false, cause: error });
  expect(told?.message).toMatch(/credential has no token for the Service Bus namespace shop\.servicebus\.windows\.net/);
});

test.each([
  ["no way to the authority", credentialError("AuthenticationRequiredError", NO_NETWORK)],
  [
    "no way to it, with a secret in the environment",
    credentialError("AuthenticationError", `${ENVIRONMENT}${NO_NETWORK},`, { statusCode: 400 }),
  ],
  ["its name not known", credentialError("CredentialUnavailableError", "endpoints_resolution_error: getaddrinfo ENOTFOUND login.test")],
  [
    "its service down",
    credentialError("AuthenticationRequiredError", "temporarily_unavailable: AADSTS90033: A transient error has occurred."),
  ],
  [
    "its service throttling",
    credentialError("AuthenticationError", "unknown_error Status code: 429\nMore details:\nslow down,", { statusCode: 429 }),
  ],
  ["all that in a chain", chained(NOTHING_SET, credentialError("AuthenticationRequiredError", NO_NETWORK))],
])("a credential that has no token yet is asked again: %s", (_, error) => {
  expect(connectError(error, "shop.servicebus.windows.net")).toMatchObject({ code: "unavailable", retryable: true, cause: error });
});
