import { setMaxListeners } from "node:events";
import { type Linked, LinkedSet } from "../util/linked-set.js";

/**
 * Publishes that began within one short slice of time share this: one timer, one signal. A timer for each would cost more
 * than publishing does. The time is counted from the end of the slice, so nobody's is cut short.
 */
export class PublishWindow<Entry extends Linked> {
  readonly #entries: LinkedSet<Entry> = new LinkedSet();
  /** On the clock of `performance.now()`. */
  readonly endsAt: number;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(lifeMs: number, expire: (window: PublishWindow<Entry>) => void) {
    this.endsAt = performance.now() + lifeMs;
    setMaxListeners(0, this.#controller.signal);
    this.#timer = setTimeout(() => expire(this), lifeMs);
  }

  /** Aborts when the time of all in the window is up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isEmpty(): boolean {
    return this.#entries.first === undefined;
  }

  /** What is outstanding, in its order. */
  get entries(): readonly Entry[] {
    return this.#entries.all();
  }

  add(entry: Entry): void {
    if (this.isEmpty) this.#timer.ref();
    this.#entries.add(entry);
  }

  /** An empty window does not keep the process alive. */
  delete(entry: Entry): void {
    if (this.#entries.delete(entry) && this.isEmpty) this.#timer.unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/** Hands out the window of the moment, and tells when one has ended. */
export class PublishWindows<Entry extends Linked> {
  readonly #timeoutMs: number;
  readonly #sliceMs: number;
  readonly #expired: (entries: readonly Entry[]) => void;
  readonly #open: Set<PublishWindow<Entry>> = new Set();
  #current: PublishWindow<Entry> | undefined;
  #currentEndsAt = 0;

  /** @param expired is given what was outstanding when its time was up, after the signal of its window has aborted. */
  constructor(timeoutMs: number, expired: (entries: readonly Entry[]) => void) {
    this.#timeoutMs = timeoutMs;
    this.#sliceMs = Math.min(1000, timeoutMs / 20);
    this.#expired = expired;
  }

  get current(): PublishWindow<Entry> {
    const now = performance.now();
    if (this.#current && now < this.#currentEndsAt) return this.#current;
    if (this.#current) this.drop(this.#current);
    this.#current = new PublishWindow(this.#timeoutMs + this.#sliceMs, (window) => this.#end(window));
    this.#currentEndsAt = now + this.#sliceMs;
    this.#open.add(this.#current);
    return this.#current;
  }

  /** Lets an empty window go that nobody will enter any more. */
  drop(window: PublishWindow<Entry>): void {
    if (!window.isEmpty || (window === this.#current && performance.now() < this.#currentEndsAt)) return;
    window.clear();
    this.#open.delete(window);
  }

  /** Ends the time of everything outstanding now. */
  endAll(): void {
    for (const window of [...this.#open]) this.#end(window);
  }

  #end(window: PublishWindow<Entry>): void {
    this.#open.delete(window);
    if (window === this.#current) this.#current = undefined;
    window.end();
    this.#expired(window.entries);
  }
}
