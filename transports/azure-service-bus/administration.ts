import type { ServiceBusAdministrationClient, ServiceBusAdministrationClientOptions } from "@azure/service-bus";
import { connectionStringOf } from "./address.js";
import type { ServiceBusModule } from "./client.js";
import { AzureServiceBusError, serviceAnswer, textOf } from "./errors.js";
import type { ResolvedOptions } from "./options.js";

/** What the administration answered that is no success. */
export type Refusal = "missing" | "exists" | "forbidden" | "busy" | "other";

/** A no that is an answer; any other is an error. */
export type AnsweredNo = Extract<Refusal, "missing" | "exists" | "forbidden">;

/** Requests of the administration are small; one that hangs is asked again. */
const MAX_REQUEST_RETRIES = 2;

/** A client of the administration: over HTTPS, or over plain HTTP to an emulator, on its own port. */
export function administrationOf(module: ServiceBusModule, { authority, adminPort }: ResolvedOptions): ServiceBusAdministrationClient {
  const options: ServiceBusAdministrationClientOptions = {
    retryOptions: { maxRetries: MAX_REQUEST_RETRIES, retryDelayInMs: 300, maxRetryDelayInMs: 2_000 },
  };
  if (authority.by === "credential") return new module.ServiceBusAdministrationClient(authority.namespace, authority.credential, options);
  const { address } = authority;
  const client = new module.ServiceBusAdministrationClient(
    connectionStringOf(adminPort === undefined ? { ...address, port: undefined } : { ...address, port: adminPort, isDevelopment: false }),
    options,
  );
  if (adminPort !== undefined) {
    // The client knows HTTPS alone; an emulator has plain HTTP.
    client.pipeline.addPolicy({
      name: "plain HTTP to the emulator",
      sendRequest: (request, next) => {
        request.url = request.url.replace(/^https:/, "http:");
        request.allowInsecureConnection = true;
        return next(request);
      },
    });
  }
  return client;
}

/** Reads out of an error of the administration what it means. */
export function refusalOf(error: unknown): Refusal {
  const status = typeof error === "object" && error !== null && "statusCode" in error ? Number(error.statusCode) : 0;
  const { code } = serviceAnswer(error);
  if (status === 404 || code === "MessageEntityNotFoundError" || code === "MessagingEntityNotFoundError") return "missing";
  if (status === 409 || code === "MessageEntityAlreadyExistsError" || code === "MessagingEntityAlreadyExistsError") return "exists";
  if (status === 401 || status === 403 || code === "UnauthorizedRequestError" || code === "UnauthorizedAccess") return "forbidden";
  if (status === 0 || status === 408 || status === 429 || status >= 500) return "busy";
  return "other";
}

/** @returns the service's no, or what was asked for. @throws what may pass, and an error in words for what is refused for another reason */
export async function asked<T>(operation: () => Promise<T>): Promise<T | AnsweredNo> {
  try {
    return await operation();
  } catch (error) {
    const no = refusalOf(error);
    if (no === "missing" || no === "exists" || no === "forbidden") return no;
    if (no === "busy") throw error;
    throw new AzureServiceBusError("topology", `Azure Service Bus refuses what the bus needs: ${textOf(error)}`, {
      retryable: false,
      cause: error,
    });
  }
}
