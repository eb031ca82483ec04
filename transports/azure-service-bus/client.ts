import type * as AzureServiceBus from "@azure/service-bus";
import { installedVersion, isOlder } from "../../src/util/package-version.js";
import { mendClient } from "./client-repair.js";
import { AzureServiceBusError } from "./errors.js";

/** What the adapter needs of @azure/service-bus. Only types of it are imported elsewhere: the package itself is loaded here, when a bus opens. */
export type ServiceBusModule = Pick<typeof AzureServiceBus, "ServiceBusClient" | "ServiceBusAdministrationClient">;

/** The version whose ways of losing, retrying and closing links the adapter was built against. */
export const OLDEST_CLIENT = "7.9.5";

/** Never the client's own renewal of locks, see {@link LockKeeper}. */
export const RECEIVER_OPTIONS = { maxAutoLockRenewalDurationInMs: 0, skipParsingBodyAsJson: true, skipConvertingDate: true } as const;

/** @throws AzureServiceBusError "configuration" when @azure/service-bus is not installed or older than {@link OLDEST_CLIENT}. */
export async function loadClient(): Promise<ServiceBusModule> {
  let module: ServiceBusModule & { readonly default?: ServiceBusModule };
  try {
    module = await import("@azure/service-bus");
  } catch (cause) {
    throw new AzureServiceBusError(
      "configuration",
      "The Azure Service Bus transport needs the package @azure/service-bus, which could not be loaded. Install it beside trolleybus: npm install @azure/service-bus",
      { retryable: false, cause },
    );
  }
  const version = await installedVersion("@azure/service-bus", () => new URL("../package.json", import.meta.resolve("@azure/service-bus")));
  if (version !== undefined && isOlder(version, OLDEST_CLIENT)) {
    throw new AzureServiceBusError(
      "configuration",
      `The Azure Service Bus transport needs @azure/service-bus ${OLDEST_CLIENT} or later and found ${version}. Update it: npm install @azure/service-bus@7`,
      { retryable: false },
    );
  }
  mend();
  return module.default ?? module;
}

// In a bundle nothing can be resolved, and nothing is mended.
function mend(): void {
  try {
    mendClient(import.meta.resolve("@azure/service-bus"));
  } catch {
    // It is as it was.
  }
}
