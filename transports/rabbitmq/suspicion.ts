import { createHash } from "node:crypto";
import type { Message } from "amqplib";
import { deliveryCountOf } from "./mapping.js";

/** From so many deliveries on that nobody settled, a message may be what killed its processes. */
export const SUSPECT_AFTER = 3;
/** Of a message that was run alone: it is what killed them. */
export const CRASHED_AFTER = 10;
/** Messages whose losses are remembered, about 100 bytes each. One that is forgotten only becomes suspect earlier than it needs to. */
const MAX_REMEMBERED = 10_000;

/**
 * How often a message was given out and not settled, less the times that this very process held it, lost its channel, or gave it back, and
 * lived: RabbitMQ's own count rises for everything that was held, whatever the reason. One for each queue.
 */
export class DeliveryCounts {
  readonly #survived = new Map<string, number>();

  /** This process held the message, and the message went back uncompleted, through no fault of its own. */
  survived(message: Message): void {
    this.#note(message, (this.#survived.get(identityOf(message)) ?? 0) + 1);
  }

  #note(message: Message, times: number): void {
    const id = identityOf(message);
    this.#survived.delete(id);
    this.#survived.set(id, times);
    if (this.#survived.size > MAX_REMEMBERED) {
      const oldest = this.#survived.keys().next();
      if (!oldest.done) this.#survived.delete(oldest.value);
    }
  }

  /** The message was run alone and killed nobody: what was counted before is no evidence. */
  cleared(message: Message): void {
    this.#note(message, deliveryCountOf(message));
  }

  /** Deliveries before this one that ended, as far as is known, with the process that held the message. */
  unexplained(message: Message): number {
    const count = deliveryCountOf(message);
    if (count === 0 || this.#survived.size === 0) return count;
    return Math.max(0, count - (this.#survived.get(identityOf(message)) ?? 0));
  }

  /** The message is settled. */
  forget(message: Message): void {
    if (this.#survived.size > 0 && message.fields.redelivered) this.#survived.delete(identityOf(message));
  }
}

/** The message's id, or what stands for it where the sender gave none. */
export function identityOf(message: Message): string {
  const id: unknown = message.properties.messageId;
  return typeof id === "string" && id !== "" ? id : `sha256:${createHash("sha256").update(message.content).digest("hex")}`;
}
