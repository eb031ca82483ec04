import type { TransportConfig } from "../../src/contracts/bus-options.js";
import type { Transport } from "../../src/contracts/transport.js";
import { TrolleybusError } from "../../src/errors.js";
import { Broker } from "./broker.js";
import { MemoryConnection } from "./connection.js";
import { type MemoryOptions, optionsFromConfig, optionsFromUrl, resolveOptions } from "./options.js";

export type { MemoryOptions } from "./options.js";

/**
 * A broker in this process, for tests, for programs of one process and for a first try. The returned object may be given to several
 * buses: they are then connected to the same broker. Each call makes a broker of its own; it and its messages live as long as the
 * object, also while no bus is running, and are gone with the process.
 * @throws TrolleybusError "configuration" listing every mistake in `options`.
 */
export function memory(options: MemoryOptions = {}): Transport {
  return new MemoryConnection(new Broker(resolveOptions(options)));
}

/**
 * Of `memory:`, `memory:NAME` or `memory:NAME?max-queue-length=1000`: one broker of this process for each name (`memory:` is the
 * nameless one), which lives as long as the process.
 * @throws TrolleybusError "configuration" listing every mistake, or when the name is in use with other options.
 */
export const transportFromUrl: (url: string) => Transport = (url) => {
  const { name, options } = optionsFromUrl(url);
  return new MemoryConnection(namedBroker(name, options));
};

/** Of `{ type: "memory", name?, maxQueueLength? }`: the same brokers as those of {@link transportFromUrl}, and the same errors. */
export const transportFromConfig: (config: TransportConfig) => Transport = (config) => {
  const { name, options } = optionsFromConfig(config);
  return new MemoryConnection(namedBroker(name, options));
};

const namedBrokers = new Map<string, Broker>();

function namedBroker(name: string, options: Required<MemoryOptions>): Broker {
  const known = namedBrokers.get(name);
  if (!known) {
    const broker = new Broker(options);
    namedBrokers.set(name, broker);
    return broker;
  }
  if (known.options.maxQueueLength === options.maxQueueLength) return known;
  throw new TrolleybusError(
    "configuration",
    `The memory broker "${name}" of this process has maxQueueLength ${known.options.maxQueueLength}, and is now asked for with ` +
      `${options.maxQueueLength}: buses that share a broker must agree. Give both the same option, or one of them another name.`,
    { cause: undefined, retryable: false },
  );
}
