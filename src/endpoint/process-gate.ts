/**
 * Lets many runs in, or one alone. A message that may have killed the process runs while no other handler of the process
 * does, so that whatever it does next is its own doing and nobody else's.
 */
export class ProcessGate {
  readonly #waiting: { readonly alone: boolean; readonly enter: () => void }[] = [];
  #inside = 0;
  #aloneInside = false;

  /** Enters at once when nobody is inside alone or waits to be. */
  tryEnter(): boolean {
    if (this.#aloneInside || this.#waiting.length > 0) return false;
    this.#inside++;
    return true;
  }

  enter(alone: boolean): Promise<void> {
    return new Promise((enter) => {
      this.#waiting.push({ alone, enter });
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
