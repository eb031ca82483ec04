interface Waiting {
  readonly begun: boolean;
  readonly tell: (granted: boolean) => void;
}

/**
 * Who may run: at most `concurrency` handlers at one time, nobody while the endpoint is paused, and nobody new while
 * `concurrency` strays (handlers that ignored their time-out) still run.
 */
export class Turns {
  readonly #concurrency: number;
  #waiting: Waiting[] = [];
  #running = 0;
  #strays = 0;
  #pauses = 0;
  #closed = false;
  #abandoned = false;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  get strays(): number {
    return this.#strays;
  }

  /** As many strays as there are turns: the endpoint takes nothing more until one of them ends. */
  get stalled(): boolean {
    return this.#strays >= this.#concurrency;
  }

  /** Takes a turn at once when there is one and nobody waits for it. */
  tryTake(): boolean {
    if (this.#waiting.length > 0 || this.#closed || !this.#free) return false;
    this.#running++;
    return true;
  }

  /**
   * Waits for a turn, first come, first served; false when the endpoint closed meanwhile. @param begun whether the message has
   * been run before: what was begun may go on after the close.
   */
  take(begun: boolean): Promise<boolean> {
    if (this.#abandoned || (this.#closed && !begun)) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.push({ begun, tell: resolve });
      this.#grant();
    });
  }

  give(): void {
    this.#running--;
    this.#grant();
  }

  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    this.#grant();
  }

  strayBegan(): void {
    this.#strays++;
  }

  strayEnded(): void {
    this.#strays--;
    this.#grant();
  }

  /** Nothing new begins: who waits for that is told so. */
  close(): void {
    this.#closed = true;
    this.#sendAway(({ begun }) => !begun);
  }

  /** Nothing goes on either. */
  abandon(): void {
    this.#closed = true;
    this.#abandoned = true;
    this.#sendAway(() => true);
  }

  #sendAway(whom: (waiting: Waiting) => boolean): void {
    const away = this.#waiting.filter(whom);
    this.#waiting = this.#waiting.filter((waiting) => !whom(waiting));
    for (const { tell } of away) tell(false);
  }

  get #free(): boolean {
    return this.#running < this.#concurrency && this.#strays < this.#concurrency && this.#pauses === 0;
  }

  #grant(): void {
    while (this.#waiting.length > 0 && this.#free) {
      this.#running++;
      this.#waiting.shift()?.tell(true);
    }
  }
}
