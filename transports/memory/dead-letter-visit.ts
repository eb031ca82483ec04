import type { DeadLetters, Letter } from "./dead-letters.js";
import { deadLetterName, type StoredMessage } from "./mapping.js";
import type { EndpointQueue } from "./queue.js";
import { Feed, type MemoryReceiver } from "./receiver.js";

/**
 * One look through an endpoint's dead letters: each that was there when the look began, once. What fails again meanwhile has a higher
 * number, what is kept lies behind, what another visitor holds is passed over: none of them is met.
 */
export class DeadLetterVisit extends Feed {
  override readonly source: string;
  readonly #queue: EndpointQueue;
  readonly #letters: DeadLetters;
  readonly #walk: Iterator<[number: number, letter: Letter]>;
  readonly #end: number;
  #next: [number: number, letter: Letter] | undefined;
  #receiver: MemoryReceiver | undefined;

  constructor(queue: EndpointQueue) {
    super();
    this.source = deadLetterName(queue.name);
    this.#queue = queue;
    this.#letters = queue.deadLetters;
    this.#walk = this.#letters[Symbol.iterator]();
    this.#end = this.#letters.nextNumber;
  }

  /** Begins. A visit is for one receiver. */
  override join(receiver: MemoryReceiver): void {
    this.#receiver = receiver;
    this.schedule();
  }

  override remove(number: number): void {
    this.#letters.remove(number);
  }

  override putBack(_message: StoredMessage, number: number): void {
    this.#letters.keep(number);
  }

  override retry(message: StoredMessage, delayMs: number): void {
    this.#queue.retry(message, delayMs);
  }

  override deadLetter(message: StoredMessage): void {
    this.#letters.add(message);
  }

  override leave(): void {
    this.#receiver = undefined;
  }

  protected override get hasWork(): boolean {
    return this.#receiver !== undefined;
  }

  protected override dispatch(): void {
    const receiver = this.#receiver;
    // Measured once: a core that settles within `deliver` would otherwise keep the event loop for the whole list.
    for (let room = receiver?.room ?? 0; receiver && this.#receiver; room--) {
      const next = this.#look();
      if (!next) {
        this.#receiver = undefined;
        receiver.exhausted();
      } else if (room <= 0) {
        return;
      } else {
        const [number, letter] = next;
        this.#next = undefined;
        letter.held = true;
        receiver.hand(letter.message, number);
      }
    }
  }

  /** The next letter that nobody holds, without going past it. */
  #look(): [number: number, letter: Letter] | undefined {
    while (!this.#next || this.#next[1].held) {
      const step = this.#walk.next();
      if (step.done || step.value[0] >= this.#end) return undefined;
      this.#next = step.value;
    }
    return this.#next;
  }
}
