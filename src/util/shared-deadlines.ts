import { type Linked, LinkedSet } from "./linked-set.js";

/** What a call of {@link SharedDeadlines.add} put in. */
export interface SharedDeadline<T> extends Linked {
  readonly signal: AbortSignal;
  readonly entries: readonly T[];
}

/** Calls that end with the same signal: one listener on it, however many there are. */
export class SharedDeadlines<T> {
  readonly #ended: (entries: readonly T[]) => void;
  readonly #calls = new Map<AbortSignal, { readonly all: LinkedSet<SharedDeadline<T>>; readonly listener: () => void }>();

  constructor(ended: (entries: readonly T[]) => void) {
    this.#ended = ended;
  }

  /** @returns what takes them out again, by {@link remove} */
  add(signal: AbortSignal, entries: readonly T[]): SharedDeadline<T> {
    const deadline: SharedDeadline<T> = { signal, entries, link: undefined };
    const known = this.#calls.get(signal);
    if (known) {
      known.all.add(deadline);
      return deadline;
    }
    const all = new LinkedSet<SharedDeadline<T>>();
    all.add(deadline);
    const listener = (): void => {
      this.#calls.delete(signal);
      this.#ended(all.all().flatMap((call) => call.entries));
    };
    signal.addEventListener("abort", listener, { once: true });
    this.#calls.set(signal, { all, listener });
    return deadline;
  }

  remove(deadline: SharedDeadline<T>): void {
    const { signal } = deadline;
    const known = this.#calls.get(signal);
    if (!known?.all.delete(deadline) || known.all.first) return;
    signal.removeEventListener("abort", known.listener);
    this.#calls.delete(signal);
  }
}
