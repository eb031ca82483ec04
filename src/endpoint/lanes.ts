/** Messages of one `partitionKey` in this process, one after the other, in the order in which they came. */
export class Lanes {
  readonly #lanes: Map<string, (() => void)[]> = new Map();

  /** Enters the lane of `key`: `undefined` when it was empty, else resolves when those before have left. */
  enter(key: string): Promise<void> | undefined {
    const waiting = this.#lanes.get(key);
    if (!waiting) {
      this.#lanes.set(key, []);
      return undefined;
    }
    return new Promise((resolve) => waiting.push(resolve));
  }

  leave(key: string): void {
    const next = this.#lanes.get(key)?.shift();
    if (next) next();
    else this.#lanes.delete(key);
  }
}
