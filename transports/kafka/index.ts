import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Transport } from "../../src/contracts/transport.js";
import { type KafkaOptions, optionsFromConfig, optionsFromUrl, resolveOptions } from "./options.js";
import { KafkaTransport } from "./transport.js";

export type { KafkaCodec, KafkaCompression, KafkaOptions } from "./options.js";
export type { KafkaSaslOptions, KafkaTlsOptions } from "./security-options.js";

/**
 * Kafka 2.1 or later, over the package kafkajs 2.2.4 or later, which is loaded when the bus opens. One object serves one bus.
 * @throws TrolleybusError "configuration" listing every mistake in `options`.
 */
export function kafka(options: KafkaOptions): Transport {
  return new KafkaTransport(resolveOptions(options));
}

/** Of `kafka://user:password@host1:9092,host2:9092?tls=true` and the like. @throws TrolleybusError "configuration" listing every mistake. */
export const transportFromUrl: (url: string) => Transport = (url) => new KafkaTransport(optionsFromUrl(url));

/** Of `{ type: "kafka", brokers, ... }`, with the options of {@link KafkaOptions}. @throws TrolleybusError "configuration" listing every mistake. */
export const transportFromConfig: (config: TransportConfig) => Transport = (config) => new KafkaTransport(optionsFromConfig(config));
