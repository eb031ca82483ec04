import type { Submission } from "./submission.js";

type Entries = readonly Submission[];

/** Calls that end with the same signal: one listener on it, however many there are. */
export class SharedDeadlines {
  readonly #ended: (entries: Entries) => void;
  readonly #calls = new Map<AbortSignal, { readonly all: Set<Entries>; readonly listener: () => void }>();

  constructor(ended: (entries: Entries) => void) {
    this.#ended = ended;
  }

  add(signal: AbortSignal, entries: Entries): void {
    const known = this.#calls.get(signal);
    if (known) {
      known.all.add(entries);
      return;
    }
    const all = new Set([entries]);
    const listener = (): void => {
      this.#calls.delete(signal);
      this.#ended([...all].flat());
    };
    signal.addEventListener("abort", listener, { once: true });
    this.#calls.set(signal, { all, listener });
  }

  remove(signal: AbortSignal, entries: Entries): void {
    const known = this.#calls.get(signal);
    if (!known?.all.delete(entries) || known.all.size > 0) return;
    signal.removeEventListener("abort", known.listener);
    this.#calls.delete(signal);
  }
}
