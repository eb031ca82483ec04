/** Calls that end with the same signal: one listener on it, however many there are. */
export class SharedDeadlines<T> {
  readonly #ended: (entries: readonly T[]) => void;
  readonly #calls = new Map<AbortSignal, { readonly all: Set<readonly T[]>; readonly listener: () => void }>();

  constructor(ended: (entries: readonly T[]) => void) {
    this.#ended = ended;
  }

  add(signal: AbortSignal, entries: readonly T[]): void {
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

  remove(signal: AbortSignal, entries: readonly T[]): void {
    const known = this.#calls.get(signal);
    if (!known?.all.delete(entries) || known.all.size > 0) return;
    signal.removeEventListener("abort", known.listener);
    this.#calls.delete(signal);
  }
}
