import type { StoredMessage } from "./mapping.js";

/** One dead letter in its list. */
export interface Letter {
  readonly message: StoredMessage;
  /** Somebody is looking at it, or has taken it away: others pass it over. */
  held: boolean;
}

/** The dead letters of an endpoint, oldest first, each under a number that is never used again. */
export class DeadLetters {
  readonly #letters = new Map<number, Letter>();
  #added = 0;

  get size(): number {
    return this.#letters.size;
  }

  /** The number that the next letter will have: all that are there now are below it. */
  get nextNumber(): number {
    return this.#added;
  }

  add(message: StoredMessage): void {
    this.#letters.set(this.#added++, { message, held: false });
  }

  remove(number: number): void {
    this.#letters.delete(number);
  }

  /** The letter was looked at and stays, in its place. */
  keep(number: number): void {
    const letter = this.#letters.get(number);
    if (letter) letter.held = false;
  }

  /** Oldest first; sees what is added and removed meanwhile. */
  [Symbol.iterator](): IterableIterator<[number: number, letter: Letter]> {
    return this.#letters.entries();
  }
}
