import type { StoredMessage } from "./mapping.js";

/** Where a delayed message goes when its time has come. */
export interface DelayTarget {
  due(message: StoredMessage): void;
}

interface Delayed {
  readonly dueAt: number;
  /** Keeps what is due at the same time in the order in which it came. */
  readonly order: number;
  readonly target: DelayTarget;
  readonly message: StoredMessage;
}

/** `setTimeout` takes no more and would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * All delayed messages of a broker: a binary heap by due time, and one timer for the earliest, however many there are. Never early:
 * a timer may fire up to a millisecond too soon, so the clock decides and the timer is set again.
 *
 * The timer does not keep the process alive. An open connection does, and with none open nobody would get the message.
 */
export class Delays {
  readonly #heap: Delayed[] = [];
  #added = 0;
  #timer: NodeJS.Timeout | undefined;

  add(delayMs: number, target: DelayTarget, message: StoredMessage): void {
    const delayed: Delayed = { dueAt: performance.now() + delayMs, order: this.#added++, target, message };
    this.#heap.push(delayed);
    this.#siftUp(this.#heap.length - 1);
    if (this.#heap[0] === delayed) this.#setTimer(delayed.dueAt);
  }

  #setTimer(dueAt: number): void {
    clearTimeout(this.#timer);
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil(dueAt - performance.now())));
    this.#timer = setTimeout(this.#fire, wait);
    this.#timer.unref();
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    let first = this.#heap[0];
    while (first && first.dueAt <= now) {
      this.#removeFirst();
      first.target.due(first.message);
      first = this.#heap[0];
    }
    if (first) this.#setTimer(first.dueAt);
  };

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown();
  }

  #siftUp(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #siftDown(): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let first = index;
      if (this.#isBefore(left, first)) first = left;
      if (this.#isBefore(right, first)) first = right;
      if (first === index) return;
      this.#swap(index, first);
      index = first;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (!first || !second) return false;
    return first.dueAt < second.dueAt || (first.dueAt === second.dueAt && first.order < second.order);
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (!first || !second) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}
