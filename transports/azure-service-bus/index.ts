import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Transport } from "../../src/contracts/transport.js";
import { type AzureServiceBusOptions, optionsFromConfig, optionsFromUrl, resolveOptions } from "./options.js";
import { AzureServiceBusTransport } from "./transport.js";

export type { AzureServiceBusOptions, ServiceBusCredential } from "./options.js";

/**
 * Azure Service Bus, over the package @azure/service-bus 7.9.5 or later, which is loaded when the bus opens. One object serves one bus.
 * @throws TrolleybusError "configuration" listing every mistake in `options`.
 */
export function azureServiceBus(options: AzureServiceBusOptions): Transport {
  return new AzureServiceBusTransport(resolveOptions(options));
}

/**
 * Of `sb://POLICY:KEY@NAMESPACE.servicebus.windows.net`, of the same with `?development=true&admin-port=5300` for an emulator, or of a connection
 * string as Azure's portal gives it. @throws TrolleybusError "configuration" listing every mistake.
 */
export const transportFromUrl: (url: string) => Transport = (url) => new AzureServiceBusTransport(optionsFromUrl(url));

/** Of `{ type: "azure-service-bus", connectionString, ... }`, with the options of {@link AzureServiceBusOptions}. @throws TrolleybusError "configuration" listing every mistake. */
export const transportFromConfig: (config: TransportConfig) => Transport = (config) =>
  new AzureServiceBusTransport(optionsFromConfig(config));
