import { connect } from "amqplib";
import { WORK } from "../messages.js";
import type { ServiceConfig } from "../protocol.js";
import type { Client, Handler, PublishFailure } from "./client.js";
import { deliveryOf, encode, QUEUE_OPTIONS, urlOf } from "./plain-body.js";

/**
 * amqplib as RabbitMQ's second tutorial shows it ("Work Queues"): a durable queue, persistent messages, `sendToQueue`, a prefetch, an acknowledgement when
 * the work is done. No confirms, no error listener, no reconnect: when the connection goes the process dies, and its supervisor starts it again.
 */
export async function openPublisher(config: ServiceConfig): Promise<Client> {
  const connection = await connect(urlOf(config.transport));
  const channel = await connection.createChannel();
  await channel.assertQueue(WORK, QUEUE_OPTIONS);
  return {
    publish: async (message) => void channel.sendToQueue(WORK, encode(message), { persistent: true }),
    stop: () => connection.close(),
  };
}

export async function openConsumer(config: ServiceConfig, handler: Handler): Promise<Client> {
  const connection = await connect(urlOf(config.transport));
  const channel = await connection.createChannel();
  await channel.assertQueue(WORK, QUEUE_OPTIONS);
  await channel.prefetch(config.prefetch);
  await channel.consume(WORK, (message) => {
    if (message) void handler(deliveryOf(message.content)).then(() => channel.ack(message));
  });
  return { publish: () => Promise.reject(new Error("a consumer publishes nothing here")), stop: () => connection.close() };
}

export function failureOf(error: unknown): PublishFailure {
  return { outcome: "unknown", code: String(error) };
}
