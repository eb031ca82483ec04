import { within } from "../../src/util/time-limit.js";
import { AzureServiceBusError } from "./errors.js";

export { settledBy } from "../../src/util/time-limit.js";

/** The answer to a request. @throws AzureServiceBusError "timeout" when there is none within `ms`, else what `request` throws */
export function answered<T>(request: Promise<T>, ms: number): Promise<T> {
  return within(ms, request, () => notAnswered(ms));
}

export function notAnswered(ms: number): AzureServiceBusError {
  return new AzureServiceBusError("timeout", `Azure Service Bus has not answered within ${ms} ms`, { retryable: true });
}
