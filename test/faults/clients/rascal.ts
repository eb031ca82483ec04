import type { EventEmitter } from "node:events";
import { WORK } from "../messages.js";
import type { ServiceConfig } from "../protocol.js";
import type { Client, Handler, PublishFailure } from "./client.js";
import { loadPeer } from "./peer-packages.js";
import { deliveryOf, encode, QUEUE_OPTIONS, urlOf } from "./plain-body.js";

/** What is used of the package, which is not a dependency. */
interface Package {
  readonly BrokerAsPromised: { create(config: object): Promise<Broker> };
}
interface Broker extends EventEmitter {
  publish(publication: string, content: Buffer): Promise<EventEmitter>;
  subscribe(subscription: string): Promise<EventEmitter>;
  shutdown(): Promise<void>;
}

/** As its README shows: publications with confirms, awaited until "success"; a subscription with a prefetch and `ackOrNack`; an error listener everywhere. */
export async function openPublisher(config: ServiceConfig): Promise<Client> {
  const broker = await open(config);
  return {
    publish: async (message) => {
      const publication = await broker.publish("work", encode(message));
      await new Promise<void>((resolve, reject) => {
        publication.on("success", () => resolve());
        publication.on("error", reject);
        publication.on("return", () => reject(new Error("returned")));
      });
    },
    stop: () => broker.shutdown(),
  };
}

export async function openConsumer(config: ServiceConfig, handler: Handler): Promise<Client> {
  const broker = await open(config);
  const subscription = await broker.subscribe("work");
  subscription.on("message", (_message: unknown, content: Buffer, ackOrNack: () => void) => {
    void handler(deliveryOf(content)).then(() => ackOrNack());
  });
  subscription.on("error", () => {});
  return { publish: () => Promise.reject(new Error("a consumer publishes nothing here")), stop: () => broker.shutdown() };
}

export function failureOf(error: unknown): PublishFailure {
  return { outcome: "unknown", code: String(error) };
}

async function open(config: ServiceConfig): Promise<Broker> {
  const broker = await loadPeer<Package>("rascal").BrokerAsPromised.create({
    vhosts: {
      "/": {
        connection: { url: urlOf(config.transport) },
        queues: { [WORK]: { options: QUEUE_OPTIONS } },
        publications: { work: { queue: WORK, confirm: true, options: { persistent: true } } },
        subscriptions: { work: { queue: WORK, prefetch: config.prefetch } },
      },
    },
  });
  broker.on("error", () => {});
  return broker;
}
