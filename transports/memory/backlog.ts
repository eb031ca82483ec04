import type { StoredMessage } from "./mapping.js";

interface Returned {
  readonly message: StoredMessage;
  readonly position: number;
}

const SMALLEST = 16;
const KEPT_WHEN_EMPTY = 1024;

/**
 * The messages of a queue that wait to be handed out, oldest first. A message's *position* is the number of messages that came
 * before it, ever: with it, one that was handed out can be put back to exactly where it was.
 *
 * New messages are in a ring (`Array.shift` would move the whole backlog for each message). What came back is in a small sorted list
 * beside it, and goes first: it was handed out before everything that is in the ring.
 */
export class Backlog {
  /** Its length is a power of two; the message at position p is in slot `p & (length - 1)`. */
  #ring: (StoredMessage | undefined)[] = new Array(SMALLEST);
  #head = 0;
  #tail = 0;
  /** Latest position first, so that the next to hand out is at the end. */
  readonly #returned: Returned[] = [];

  get length(): number {
    return this.#tail - this.#head + this.#returned.length;
  }

  push(message: StoredMessage): void {
    if (this.#tail - this.#head === this.#ring.length) this.#grow();
    this.#ring[this.#tail & (this.#ring.length - 1)] = message;
    this.#tail++;
  }

  /** The message that `shift` would take. */
  peek(): StoredMessage | undefined {
    return this.#returned.at(-1)?.message ?? this.#ring[this.#head & (this.#ring.length - 1)];
  }

  /** The position of the message that `shift` would take. */
  get position(): number {
    return this.#returned.at(-1)?.position ?? this.#head;
  }

  shift(): StoredMessage | undefined {
    if (this.#returned.length > 0) return this.#returned.pop()?.message;
    if (this.#head === this.#tail) return undefined;
    const slot = this.#head & (this.#ring.length - 1);
    const message = this.#ring[slot];
    this.#ring[slot] = undefined;
    this.#head++;
    if (this.#head === this.#tail && this.#ring.length > KEPT_WHEN_EMPTY) this.#ring = new Array(SMALLEST);
    return message;
  }

  /** Puts a message that was taken back to where it was. */
  putBack(message: StoredMessage, position: number): void {
    let index = this.#returned.length;
    while (index > 0 && (this.#returned[index - 1]?.position ?? 0) < position) index--;
    this.#returned.splice(index, 0, { message, position });
  }

  #grow(): void {
    const grown: (StoredMessage | undefined)[] = new Array(this.#ring.length * 2);
    for (let position = this.#head; position < this.#tail; position++) {
      grown[position & (grown.length - 1)] = this.#ring[position & (this.#ring.length - 1)];
    }
    this.#ring = grown;
  }
}
