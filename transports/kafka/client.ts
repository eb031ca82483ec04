import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Logger } from "../../src/contracts/logger.js";
import type { DriverAdmin, DriverProducer } from "./driver.js";
import type { ConsumerSettings, DriverConsumer } from "./driver-consumer.js";
import { KafkaError } from "./errors.js";
import { KafkajsAdmin } from "./kafkajs-admin.js";
import { KafkajsConsumer } from "./kafkajs-consumer.js";
import { type KafkajsHome, type KafkajsModule, kafkajsHome } from "./kafkajs-home.js";
import { KafkajsProducer } from "./kafkajs-producer.js";
import { quietQueues } from "./kafkajs-quiet-queues.js";
import { leaveGroup } from "./leave-group.js";
import type { KafkaCodec, ResolvedOptions } from "./options.js";

/** The broker's client behind the seam of `driver.ts`. Each call makes one that is not connected yet. */
export interface KafkaDriver {
  producer(): DriverProducer;
  admin(): DriverAdmin;
  consumer(settings: ConsumerSettings): DriverConsumer;
}

/** The only release line that was tried; 2.2.4 is its last. */
export const OLDEST_KAFKAJS = "2.2.4";

/** Loads kafkajs. @throws KafkaError "configuration" when it is not installed or older than {@link OLDEST_KAFKAJS}. */
export async function loadDriver(options: ResolvedOptions, clientId: string, logger: Logger): Promise<KafkaDriver> {
  const module = await loadKafkajs();
  quietQueues(module, logger);
  for (const [name, codec] of Object.entries(options.codecs)) {
    const type = { snappy: module.CompressionTypes.Snappy, lz4: module.CompressionTypes.LZ4, zstd: module.CompressionTypes.ZSTD }[name];
    if (type !== undefined) (module.CompressionCodecs as Record<number, KafkaCodec>)[type] = codec;
  }
  // kafkajs always begins with the first broker of its list, and one that stands still leaves it no time for the second: so each client begins with another.
  let turn = randomInt(options.brokers.length);
  const home = (): KafkajsHome => {
    const first = turn++ % options.brokers.length;
    const brokers = [...options.brokers.slice(first), ...options.brokers.slice(0, first)];
    return kafkajsHome(module, { ...options, brokers }, clientId, logger);
  };
  return {
    producer: () => new KafkajsProducer(home()),
    admin: () => new KafkajsAdmin(home),
    consumer: (settings) => new KafkajsConsumer(home(), settings, (memberId) => leaveGroup(home(), settings.groupId, memberId)),
  };
}

async function loadKafkajs(): Promise<KafkajsModule> {
  let loaded: object;
  try {
    loaded = await import("kafkajs");
  } catch (cause) {
    throw new KafkaError(
      "configuration",
      "The Kafka transport needs the package kafkajs, which could not be loaded. Install it beside trolleybus: npm install kafkajs",
      { retryable: false, cause },
    );
  }
  const version = await installedVersion();
  if (version !== undefined && !/^2\.(?:2\.(?:[4-9]|\d{2,})|[3-9]|\d{2,})/.test(version)) {
    throw new KafkaError(
      "configuration",
      `The Kafka transport needs kafkajs ${OLDEST_KAFKAJS} or later, below 3, and found ${version}. Install it: npm install kafkajs@2`,
      { retryable: false },
    );
  }
  return ("default" in loaded ? loaded.default : loaded) as KafkajsModule;
}

// `undefined` where the package has no folder of its own, as in a bundle: whoever bundled it chose the version.
async function installedVersion(): Promise<string | undefined> {
  try {
    const manifest: unknown = JSON.parse(await readFile(new URL("./package.json", import.meta.resolve("kafkajs")), "utf8"));
    if (typeof manifest !== "object" || manifest === null || !("name" in manifest) || manifest.name !== "kafkajs") return undefined;
    return "version" in manifest && typeof manifest.version === "string" ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}
