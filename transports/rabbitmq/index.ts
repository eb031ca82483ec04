import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Transport } from "../../src/contracts/transport.js";
import { optionsFromConfig, optionsFromUrl, type RabbitMqOptions, resolveOptions } from "./options.js";
import { RabbitMqTransport } from "./transport.js";

export type { RabbitMqOptions, RabbitMqTlsOptions } from "./options.js";

/**
 * RabbitMQ 3.10 or later, over the package amqplib 2.3.1 or later, which is loaded when the bus opens. One object serves one bus.
 * @throws TrolleybusError "configuration" listing every mistake in `options`.
 */
export function rabbitmq(options: RabbitMqOptions): Transport {
  return new RabbitMqTransport(resolveOptions(options));
}

/** Of `amqp://user:password@host:port/vhost?heartbeat=10s` and the like. @throws TrolleybusError "configuration" listing every mistake. */
export const transportFromUrl: (url: string) => Transport = (url) => new RabbitMqTransport(optionsFromUrl(url));

/** Of `{ type: "rabbitmq", url, ... }`, with the options of {@link RabbitMqOptions}. @throws TrolleybusError "configuration" listing every mistake. */
export const transportFromConfig: (config: TransportConfig) => Transport = (config) => new RabbitMqTransport(optionsFromConfig(config));
