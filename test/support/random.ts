/** Numbers that a seed decides, so that a run can be told apart from another and repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, below 1 (mulberry32: 32 bits of state, one multiplication a round, good enough to choose faults with). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws RangeError when there is nothing to choose from. */
  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new RangeError("nothing to pick from");
    return from[Math.floor(this.next() * from.length)] as T;
  }

  /** Each with a probability proportional to its weight. @throws RangeError when there is nothing to choose from. */
  pickWeighted<T>(from: readonly T[], weightOf: (item: T) => number): T {
    const total = from.reduce((sum, item) => sum + weightOf(item), 0);
    let rest = this.next() * total;
    for (const item of from) {
      rest -= weightOf(item);
      if (rest < 0) return item;
    }
    return this.pick(from);
  }

  /** A generator of its own, so that what one part draws does not shift what another part draws. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 4_294_967_296));
  }
}
