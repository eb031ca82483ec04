import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import { failedDeliveriesOf, sequenceOf } from "./mapping.js";

/** From so many deliveries on that nobody settled, a message may be what killed its processes. */
export const SUSPECT_AFTER = 3;
/** Of a message that was run alone: it is what killed them. */
export const CRASHED_AFTER = 10;
/** Messages whose losses are remembered, about 100 bytes each. One that is forgotten only becomes suspect earlier than it needs to. */
const MAX_REMEMBERED = 10_000;

/**
 * How often a message was given out and not settled, less the times that this very process held it, lost its lock, and lived: the broker's own
 * count rises for everything whose lock ended, whatever the reason. One for each queue.
 */
export class DeliveryCounts {
  readonly #survived = new Map<string, number>();

  /** This process held the message, and its lock ended, through no fault of its own. */
  survived(message: ServiceBusReceivedMessage): void {
    this.#note(message, (this.#survived.get(sequenceOf(message)) ?? 0) + 1);
  }

  /** The message was run alone and killed nobody: what was counted before is no evidence. */
  cleared(message: ServiceBusReceivedMessage): void {
    this.#note(message, failedDeliveriesOf(message));
  }

  #note(message: ServiceBusReceivedMessage, times: number): void {
    const id = sequenceOf(message);
    this.#survived.delete(id);
    this.#survived.set(id, times);
    if (this.#survived.size > MAX_REMEMBERED) {
      const oldest = this.#survived.keys().next();
      if (!oldest.done) this.#survived.delete(oldest.value);
    }
  }

  /** Deliveries before this one that ended, as far as is known, with the process that held the message. */
  unexplained(message: ServiceBusReceivedMessage): number {
    const count = failedDeliveriesOf(message);
    if (count === 0 || this.#survived.size === 0) return count;
    return Math.max(0, count - (this.#survived.get(sequenceOf(message)) ?? 0));
  }

  /** The message is settled. */
  forget(message: ServiceBusReceivedMessage): void {
    if (this.#survived.size > 0) this.#survived.delete(sequenceOf(message));
  }
}
