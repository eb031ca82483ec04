/** Something to tell the client. */
export interface Outcome {
  /** Whether it is another outcome than "accepted". */
  readonly isAlone: boolean;
  /** Called in its turn; must not throw. */
  tell(): void;
}

/**
 * Tells the client one kind of outcome in a turn of the event loop: any number of completions, or one of another kind. The client gathers what it
 * is told in a turn, and of two deliveries one after the other that have different outcomes it tells the broker the first one's for both (rhea 3.0.x,
 * `write_dispositions`): a dead letter would be completed, and lost, or a message that was handled dead-lettered.
 */
export class OutcomeTurns {
  #waiting: Outcome[] = [];
  #head = 0;
  #isPlanned = false;
  readonly #turn = (): void => this.#take();

  add(outcome: Outcome): void {
    this.#waiting.push(outcome);
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(this.#turn);
  }

  #take(): void {
    this.#isPlanned = false;
    const first = this.#waiting[this.#head];
    for (let next = first; next; next = this.#waiting[this.#head]) {
      if (next !== first && (next.isAlone || first?.isAlone)) break;
      this.#head++;
      next.tell();
    }
    if (this.#head < this.#waiting.length) this.#plan();
    else {
      this.#waiting = [];
      this.#head = 0;
    }
  }
}
