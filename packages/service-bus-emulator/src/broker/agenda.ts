import { BinaryHeap } from "./binary-heap.js";
import type { QueuedMessage } from "./queued-message.js";

/** Messages by the time at which something is to be done with them. Those for which it no longer is are forgotten in time. */
export class Agenda {
  readonly #timeOf: (message: QueuedMessage) => number;
  readonly #stands: (message: QueuedMessage) => boolean;
  readonly #heap: BinaryHeap<QueuedMessage>;
  /** What is on the heap: a message that comes back is not added twice. */
  readonly #listed = new Set<QueuedMessage>();
  #stale = 0;

  /**
   * @param timeOf when; epoch milliseconds.
   * @param stands whether it still is to be done.
   */
  constructor(timeOf: (message: QueuedMessage) => number, stands: (message: QueuedMessage) => boolean) {
    this.#timeOf = timeOf;
    this.#stands = stands;
    this.#heap = new BinaryHeap((a, b) => timeOf(a) < timeOf(b) || (timeOf(a) === timeOf(b) && a.sequence < b.sequence));
  }

  add(message: QueuedMessage): void {
    if (this.#listed.has(message)) return;
    this.#listed.add(message);
    this.#heap.push(message);
  }

  /** One message of the agenda may no longer stand. */
  noteStale(): void {
    if (++this.#stale < 1024 || this.#stale < this.#heap.size / 2) return;
    this.#stale = 0;
    this.#heap.filter((message) => this.#stands(message) || !this.#listed.delete(message));
  }

  /** When to look next; infinite when nothing is to be done. */
  get nextDue(): number {
    this.#dropStale();
    const next = this.#heap.peek();
    return next ? this.#timeOf(next) : Number.POSITIVE_INFINITY;
  }

  /** The next message that is due, taken off. */
  takeDue(now: number): QueuedMessage | undefined {
    return this.nextDue <= now ? this.#pop() : undefined;
  }

  #dropStale(): void {
    for (let next = this.#heap.peek(); next && !this.#stands(next); next = this.#heap.peek()) this.#pop();
  }

  #pop(): QueuedMessage | undefined {
    const message = this.#heap.pop();
    if (message) this.#listed.delete(message);
    return message;
  }
}
