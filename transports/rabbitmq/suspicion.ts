import { createHash } from "node:crypto";
import type { Message } from "amqplib";
import { SurvivedDeliveries } from "../../src/util/survived-deliveries.js";
import { deliveryCountOf } from "./mapping.js";

export { CRASHED_AFTER, SUSPECT_AFTER } from "../../src/util/survived-deliveries.js";

/** By `x-delivery-count`, which rises for everything that a lost channel held. */
export class DeliveryCounts extends SurvivedDeliveries<Message> {
  constructor() {
    super(identityOf, deliveryCountOf);
  }

  // What comes for the first time was never noted, and its identity may be dear.
  override forget(message: Message): void {
    if (message.fields.redelivered) super.forget(message);
  }
}

/** The message's id, or what stands for it where the sender gave none. */
export function identityOf(message: Message): string {
  const id: unknown = message.properties.messageId;
  return typeof id === "string" && id !== "" ? id : `sha256:${createHash("sha256").update(message.content).digest("hex")}`;
}
