import type * as Amqplib from "amqplib";
import { installedVersion, isOlder } from "../../src/util/package-version.js";
import { RabbitMqError } from "./errors.js";

/** What the adapter needs of amqplib. Only types of it are imported elsewhere: the package itself is loaded here, when a bus opens. */
export type AmqpClient = Pick<typeof Amqplib, "connect">;

/**
 * The first version that fails loudly where older ones lose messages: header tables over 64 KiB (2.3.1), confirms after a
 * channel has closed (2.2.1), frames without a bound (2.3.0).
 */
export const OLDEST_AMQPLIB = "2.3.1";

/** @throws RabbitMqError "configuration" when amqplib is not installed or older than {@link OLDEST_AMQPLIB}. */
export async function loadClient(): Promise<AmqpClient> {
  let module: AmqpClient & { readonly default?: AmqpClient };
  try {
    module = await import("amqplib");
  } catch (cause) {
    throw new RabbitMqError(
      "configuration",
      "The RabbitMQ transport needs the package amqplib, which could not be loaded. Install it beside trolleybus: npm install amqplib",
      { retryable: false, cause },
    );
  }
  const version = await installedVersion("amqplib", () => new URL("./package.json", import.meta.resolve("amqplib")));
  if (version !== undefined && isOlder(version, OLDEST_AMQPLIB)) {
    throw new RabbitMqError(
      "configuration",
      `The RabbitMQ transport needs amqplib ${OLDEST_AMQPLIB} or later and found ${version}: older versions report messages as confirmed that ` +
        "may be lost. Update it: npm install amqplib@latest",
      { retryable: false },
    );
  }
  return module.default ?? module;
}
