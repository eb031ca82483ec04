import type { ConsumeContext } from "./consumer.js";
import type { Duration } from "./duration.js";
import type { EndpointOptions } from "./endpoint-options.js";
import type { Json } from "./json.js";
import type { Logger } from "./logger.js";
import type { MessageClass } from "./message-class.js";
import type { Store } from "./store.js";
import type { Transport } from "./transport.js";

/** Plain data, so that it can come from a file or a variable. The client named by `type` is loaded when the bus starts. */
export type TransportConfig =
  | { readonly type: "memory"; readonly [option: string]: Json }
  | { readonly type: "rabbitmq"; readonly url: string | readonly string[]; readonly [option: string]: Json }
  | { readonly type: "azure-service-bus"; readonly connectionString: string; readonly [option: string]: Json }
  | { readonly type: "kafka"; readonly brokers: readonly string[]; readonly [option: string]: Json };

/**
 * The endpoint options among these are the defaults of **every** endpoint of the bus; `retry` and `deduplication` are merged field by
 * field. Those of the service's own endpoint alone, `order` among them, are given by `bus.endpoint(service, {...})`.
 */
export interface BusOptions extends Omit<EndpointOptions, "order"> {
  /** The name of the service: `source` of what it sends, and the name of its own endpoint. See {@link Bus.subscribe}. */
  readonly service: string;
  /**
   * A URL or connection string, plain data, or a transport made by hand.
   * `memory:` and `memory:NAME` (one broker of this process for all buses that give the same text), `amqp://`, `amqps://`,
   * `kafka://a:9092,b:9092`, `sb://POLICY:KEY@HOST[:PORT]` (percent-encoded; `?development=true&admin-port=5300` for an emulator)
   * or a connection string of Service Bus (`Endpoint=sb://...`). Unknown parameters are errors.
   */
  readonly transport: string | TransportConfig | Transport;
  /**
   * Where handled ids are remembered, and with PostgreSQL the outbox too. One for the bus: an endpoint can only switch
   * deduplication off. @default `memoryStore()`: this process only, gone with it, at most 100,000 ids an endpoint
   */
  readonly store?: Store;
  /**
   * Makes the consumers that are given as classes, once a run: `(type) => container.get(type)`. What it throws is the run's failure.
   * (`unknown[]`, not `never[]`: containers take a `new (...args: any[]) => C`, to which the latter is not assignable.)
   */
  readonly resolve?: <C>(type: new (...args: unknown[]) => C, context: ConsumeContext) => C | Promise<C>;
  /** Types that this service publishes: with them the topology is created or verified at start instead of at the first publish. */
  readonly publishes?: readonly MessageClass[];
  /** @default "create" */
  readonly topology?: "create" | "verify" | "none";
  /** Put before every name in the broker: one broker for several environments or tenants. At most 20 of `[a-z0-9.-]`. @default "" */
  readonly namePrefix?: string;
  /** Headers of the message being handled that are copied to what is sent meanwhile: `["tenant-id"]`. @default [] */
  readonly propagateHeaders?: readonly string[];
  /** The injected bus joins the message being handled (AsyncLocalStorage). @default true */
  readonly ambientContext?: boolean;
  /** Within it the core sends again, with the same id, after a reconnect; then "refused" or "unknown". @default "30s" */
  readonly publishTimeout?: Duration;
  /**
   * Publishes that wait for the broker, and messages held back by running consumers; beyond it `publish` rejects with "unavailable". One run of a consumer
   * may have as many of its own, whatever waits already: that is no fault of the message which it handles. @default 10_000
   */
  readonly maxPendingPublishes?: number;
  /**
   * Larger messages are refused by `publish` ("too-large") and dead-lettered on arrival. More than the transport takes fails at start.
   * @default 1 MiB, or 8 KiB less than the broker takes when that is smaller
   */
  readonly maxMessageBytes?: number;
  /** @default warnings and errors, one line each, to `process.stderr` */
  readonly logger?: Logger;
}
