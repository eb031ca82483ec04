import type { ConfirmChannel, ConsumeMessage } from "amqplib";
import { WORK } from "../messages.js";
import type { ServiceConfig } from "../protocol.js";
import type { Client, Handler, PublishFailure } from "./client.js";
import { loadPeer } from "./peer-packages.js";
import { deliveryOf, encode, QUEUE_OPTIONS, urlOf } from "./plain-body.js";

/** What is used of the package, which is not a dependency. */
interface Package {
  connect(urls: readonly string[]): Manager;
}
interface Manager {
  createChannel(options: { readonly confirm?: boolean; readonly setup: (channel: ConfirmChannel) => Promise<unknown> }): Wrapper;
  close(): Promise<void>;
}
interface Wrapper {
  waitForConnect(): Promise<void>;
  sendToQueue(queue: string, content: Buffer, options: { readonly persistent: boolean }): Promise<boolean>;
  consume(queue: string, onMessage: (message: ConsumeMessage) => void, options: { readonly prefetch: number }): Promise<unknown>;
  ack(message: ConsumeMessage): void;
  close(): Promise<void>;
}

/** As its README shows: a channel wrapper with confirms whose `sendToQueue` is awaited; `consume` with a prefetch, and `ack` when the work is done. */
export async function openPublisher(config: ServiceConfig): Promise<Client> {
  const { manager, wrapper } = await open(config);
  return {
    publish: async (message) => void (await wrapper.sendToQueue(WORK, encode(message), { persistent: true })),
    stop: () => manager.close(),
  };
}

export async function openConsumer(config: ServiceConfig, handler: Handler): Promise<Client> {
  const { manager, wrapper } = await open(config);
  const onMessage = (message: ConsumeMessage): void => void handler(deliveryOf(message.content)).then(() => wrapper.ack(message));
  await wrapper.consume(WORK, onMessage, { prefetch: config.prefetch });
  return { publish: () => Promise.reject(new Error("a consumer publishes nothing here")), stop: () => manager.close() };
}

export function failureOf(error: unknown): PublishFailure {
  return { outcome: "unknown", code: String(error) };
}

async function open(config: ServiceConfig): Promise<{ readonly manager: Manager; readonly wrapper: Wrapper }> {
  const manager = loadPeer<Package>("amqp-connection-manager").connect([urlOf(config.transport)]);
  const wrapper = manager.createChannel({ setup: (channel) => channel.assertQueue(WORK, QUEUE_OPTIONS) });
  await wrapper.waitForConnect();
  return { manager, wrapper };
}
