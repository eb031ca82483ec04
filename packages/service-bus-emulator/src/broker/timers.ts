import { BinaryHeap } from "./binary-heap.js";

/** Where the time comes from; tests give one that they move by hand. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once after some milliseconds; returns how to take it back. */
  setTimer(callback: () => void, milliseconds: number): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(callback, milliseconds) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

export interface Timer {
  readonly at: number;
  cancel(): void;
}

interface Entry extends Timer {
  callback: (() => void) | undefined;
}

/** Node's timers hold 31 bits of milliseconds; a later time is reached in several steps. */
const LONGEST_WAIT = 2 ** 31 - 1;

/** All waiting of a namespace on one timer of the system: however many wait, nothing is allocated in the event loop. */
export class Timers {
  readonly #clock: Clock;
  readonly #heap = new BinaryHeap<Entry>((a, b) => a.at < b.at);
  #cancelled = 0;
  #armedFor = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | undefined;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Calls back at `at` (epoch milliseconds) or as soon as possible after it, never before. */
  at(at: number, callback: () => void): Timer {
    const entry: Entry = { at, callback, cancel: () => this.#cancel(entry) };
    if (this.#stopped) return entry;
    this.#heap.push(entry);
    this.#arm();
    return entry;
  }

  /** Nothing is called back any more. */
  stop(): void {
    this.#stopped = true;
    this.#disarm?.();
    this.#heap.filter(() => false);
  }

  #cancel(entry: Entry): void {
    if (!entry.callback) return;
    entry.callback = undefined;
    if (++this.#cancelled > 64 && this.#cancelled > this.#heap.size / 2) {
      this.#heap.filter((other) => other.callback !== undefined);
      this.#cancelled = 0;
    }
  }

  #arm(): void {
    const next = this.#heap.peek();
    if (!next || next.at >= this.#armedFor) return;
    this.#disarm?.();
    this.#armedFor = next.at;
    const wait = Math.min(Math.max(next.at - this.now(), 0), LONGEST_WAIT);
    this.#disarm = this.#clock.setTimer(() => this.#fire(), wait);
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#disarm = undefined;
    const now = this.now();
    for (let next = this.#heap.peek(); next && next.at <= now && !this.#stopped; next = this.#heap.peek()) {
      this.#heap.pop();
      const { callback } = next;
      next.callback = undefined;
      if (callback) callback();
      else this.#cancelled--;
    }
    if (!this.#stopped) this.#arm();
  }
}
