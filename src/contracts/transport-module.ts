import type { TransportConfig } from "./bus-options.js";
import type { Transport } from "./transport.js";

/**
 * What the entry module of an adapter exports beside its own factory, so that the core can make the transport from the
 * `transport` option. Both throw a `TrolleybusError` "configuration" that lists every mistake; neither connects nor loads
 * the broker's client, which happens in `Transport.open`.
 */
export interface TransportModule {
  readonly transportFromUrl: (url: string) => Transport;
  readonly transportFromConfig: (config: TransportConfig) => Transport;
}
