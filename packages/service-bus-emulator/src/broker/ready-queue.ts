import { BinaryHeap } from "./binary-heap.js";
import type { QueuedMessage } from "./queued-message.js";

/** Messages that may be delivered, in order of sequence number. A message that is no longer ready is skipped when its turn comes. */
export class ReadyQueue {
  /** First in, first out: what was never delivered. */
  #fresh: (QueuedMessage | undefined)[] = [];
  #head = 0;
  /** What came back: always older than what is fresh. */
  readonly #returned = new BinaryHeap<QueuedMessage>((a, b) => a.sequence < b.sequence);
  #size = 0;

  /** Ready messages. */
  get size(): number {
    return this.#size;
  }

  push(message: QueuedMessage): void {
    message.place = "ready";
    this.#fresh.push(message);
    this.#size++;
  }

  /** Gives back a message that was taken. */
  putBack(message: QueuedMessage): void {
    message.place = "ready";
    this.#returned.push(message);
    this.#size++;
  }

  /** One of the ready messages stopped being ready where it stands (it expired or was deleted). */
  noteLeft(): void {
    this.#size--;
    if (this.#fresh.length - this.#head > 256 && this.#fresh.length - this.#head > 2 * this.#size) {
      this.#fresh = this.#fresh.slice(this.#head).filter((message) => message?.place === "ready");
      this.#head = 0;
      this.#returned.filter((message) => message.place === "ready");
    }
  }

  peek(): QueuedMessage | undefined {
    for (let back = this.#returned.peek(); back; back = this.#returned.peek()) {
      if (back.place === "ready") return back;
      this.#returned.pop();
    }
    for (; this.#head < this.#fresh.length; this.#head++) {
      const message = this.#fresh[this.#head];
      if (message?.place === "ready") return message;
    }
    this.#fresh.length = this.#head = 0;
    return undefined;
  }

  /** The next message; it is no longer ready then, the caller says what it is instead. */
  take(): QueuedMessage | undefined {
    const message = this.peek();
    if (!message) return undefined;
    this.#size--;
    if (this.#returned.peek() === message) this.#returned.pop();
    else {
      this.#fresh[this.#head++] = undefined;
      if (this.#head > 1024 && this.#head > this.#fresh.length / 2) {
        this.#fresh = this.#fresh.slice(this.#head);
        this.#head = 0;
      }
    }
    return message;
  }
}
