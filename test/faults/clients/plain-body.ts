import type { FaultMessage } from "../messages.js";
import { WORK } from "../messages.js";
import type { Delivery } from "./client.js";

/** How a message travels with the libraries that know bytes alone. */
export function encode({ id, key, plan, padding }: FaultMessage): Buffer {
  return Buffer.from(JSON.stringify({ id, key, plan, padding }));
}

/** A run of a message of {@link encode}. These libraries do not count attempts, and nothing is published while they handle. */
export function deliveryOf(body: Buffer): Delivery {
  return {
    endpoint: WORK,
    message: JSON.parse(body.toString("utf8")) as FaultMessage,
    key: undefined,
    attempt: 1,
    publish: () => Promise.reject(new Error("the plain workload has no echoes")),
  };
}

/** Where the broker is, of what a fault transport gives for RabbitMQ. */
export function urlOf(transport: unknown): string {
  const { url } = transport as { readonly url: string | readonly string[] };
  return typeof url === "string" ? url : (url[0] ?? "");
}

/** The same queue for every library, so that what differs is the library. */
export const QUEUE_OPTIONS = { durable: true, arguments: { "x-queue-type": "quorum" } } as const;
