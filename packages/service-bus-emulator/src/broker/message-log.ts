import type { QueuedMessage } from "./queued-message.js";

/** All messages of a queue in order of sequence number, whatever their state: what is peeked at and looked up by number. */
export class MessageLog {
  #messages: QueuedMessage[] = [];
  #gone = 0;

  get size(): number {
    return this.#messages.length - this.#gone;
  }

  /** `message` has a higher number than all before. */
  append(message: QueuedMessage): void {
    this.#messages.push(message);
  }

  /** One message was discarded. */
  noteDiscarded(): void {
    this.#gone++;
    if (this.#gone > 256 && this.#gone > this.#messages.length / 2) {
      this.#messages = this.#messages.filter((message) => message.place !== "gone");
      this.#gone = 0;
    }
  }

  find(sequence: number): QueuedMessage | undefined {
    const message = this.#messages[this.#indexFrom(sequence)];
    return message && message.sequence === sequence && message.place !== "gone" ? message : undefined;
  }

  /** The messages from a number on. */
  *from(sequence: number): Generator<QueuedMessage> {
    for (let at = this.#indexFrom(sequence); at < this.#messages.length; at++) {
      const message = this.#messages[at];
      if (message && message.place !== "gone") yield message;
    }
  }

  #indexFrom(sequence: number): number {
    let low = 0;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#messages[middle]?.sequence ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
