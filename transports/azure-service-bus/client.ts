import { readFile } from "node:fs/promises";
import type * as AzureServiceBus from "@azure/service-bus";
import { mendLostLinks } from "./client-repair.js";
import { AzureServiceBusError } from "./errors.js";

/** What the adapter needs of @azure/service-bus. Only types of it are imported elsewhere: the package itself is loaded here, when a bus opens. */
export type ServiceBusModule = Pick<typeof AzureServiceBus, "ServiceBusClient" | "ServiceBusAdministrationClient">;

/** The version whose ways of losing, retrying and closing links the adapter was built against. */
export const OLDEST_CLIENT = "7.9.5";

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
  const version = await installedVersion();
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
    mendLostLinks(import.meta.resolve("@azure/service-bus"));
  } catch {
    // It is as it was.
  }
}

/** Whether version `a` comes before `b`; pre-releases count as their release. */
export function isOlder(a: string, b: string): boolean {
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbersOf(version: string): number[] {
  return (/^\d+(?:\.\d+){0,2}/.exec(version)?.[0] ?? "0").split(".").map(Number);
}

// `undefined` where the package has no folder of its own, as in a bundle: whoever bundled it chose the version.
async function installedVersion(): Promise<string | undefined> {
  try {
    const manifest: unknown = JSON.parse(await readFile(new URL("../package.json", import.meta.resolve("@azure/service-bus")), "utf8"));
    if (typeof manifest !== "object" || manifest === null || !("name" in manifest) || manifest.name !== "@azure/service-bus")
      return undefined;
    return "version" in manifest && typeof manifest.version === "string" ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}
