interface Waiting {
  readonly alone: boolean;
  readonly enter: () => void;
}

/**
 * Lets many runs in, or one alone. A message that may have killed the process runs while no other handler of the process
 * does, so that whatever it does next is its own doing and nobody else's.
 */
export class ProcessGate {
  readonly #waiting: Waiting[] = [];
  #inside = 0;
  #aloneInside = false;

  /** Enters at once when nobody is inside alone or waits to be. */
  tryEnter(): boolean {
    if (this.#aloneInside || this.#waiting.length > 0) return false;
    this.#inside++;
    return true;
  }

  /** Waits to be let in; false when `cut` aborts first: who waits for nothing any more must not keep others out. */
  enter(alone: boolean, cut: AbortSignal): Promise<boolean> {
    if (cut.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const goAway = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        resolve(false);
        this.#admit();
      };
      const enter = (): void => {
        cut.removeEventListener("abort", goAway);
        resolve(true);
      };
      const waiting: Waiting = { alone, enter };
      this.#waiting.push(waiting);
      cut.addEventListener("abort", goAway, { once: true });
      this.#admit();
    });
  }

  leave(): void {
    this.#inside--;
    this.#aloneInside = false;
    if (this.#waiting.length > 0) this.#admit();
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (this.#aloneInside || (next.alone && this.#inside > 0)) return;
      this.#waiting.shift();
      this.#inside++;
      this.#aloneInside = next.alone;
      next.enter();
    }
  }
}

/** The one gate of this process, for every endpoint of every bus: a crash takes all of them. */
export const processGate: ProcessGate = new ProcessGate();
