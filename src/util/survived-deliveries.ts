/** From so many deliveries on that nobody settled, a message may be what killed its processes. */
export const SUSPECT_AFTER = 3;
/** Of a message that was run alone: it is what killed them. */
export const CRASHED_AFTER = 10;
/** Messages whose losses are remembered, about 100 bytes each. One that is forgotten only becomes suspect earlier than it needs to. */
const MAX_REMEMBERED = 10_000;

/**
 * How often a message was given out and not settled, less the times that this very process held it, gave it back or lost it, and lived: a
 * broker's own count rises for everything that was held, whatever the reason. One for each queue.
 */
export class SurvivedDeliveries<Message> {
  readonly #identityOf: (message: Message) => string;
  readonly #countOf: (message: Message) => number;
  readonly #survived = new Map<string, number>();

  /**
   * @param identityOf the same at each delivery of a message
   * @param countOf the broker's count of the deliveries before this one
   */
  constructor(identityOf: (message: Message) => string, countOf: (message: Message) => number) {
    this.#identityOf = identityOf;
    this.#countOf = countOf;
  }

  /** This process held the message, and the message went back uncompleted, through no fault of its own. */
  survived(message: Message): void {
    const id = this.#identityOf(message);
    this.#note(id, (this.#survived.get(id) ?? 0) + 1);
  }

  /** The message was run alone and killed nobody: what was counted before is no evidence. */
  cleared(message: Message): void {
    this.#note(this.#identityOf(message), this.#countOf(message));
  }

  /** Deliveries before this one that ended, as far as is known, with the process that held the message. */
  unexplained(message: Message): number {
    const count = this.#countOf(message);
    if (count === 0 || this.#survived.size === 0) return count;
    return Math.max(0, count - (this.#survived.get(this.#identityOf(message)) ?? 0));
  }

  /** The message is settled. */
  forget(message: Message): void {
    if (this.#survived.size > 0) this.#survived.delete(this.#identityOf(message));
  }

  #note(id: string, times: number): void {
    this.#survived.delete(id);
    this.#survived.set(id, times);
    if (this.#survived.size > MAX_REMEMBERED) {
      const oldest = this.#survived.keys().next();
      if (!oldest.done) this.#survived.delete(oldest.value);
    }
  }
}
