/** Gathers what consumers saw, and lets a test wait for it without sleeping. */
export class Collector<T> {
  readonly items: T[] = [];
  readonly #patienceMs: number;
  readonly #waiting = new Set<{ readonly count: number; readonly wake: () => void }>();

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  add(item: T): void {
    this.items.push(item);
    for (const waiter of this.#waiting) {
      if (this.items.length >= waiter.count) waiter.wake();
    }
  }

  /** Resolves with all items as soon as there are `count` of them. @throws Error naming what came instead */
  async reach(count: number): Promise<readonly T[]> {
    if (this.items.length >= count) return this.items;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiter);
        reject(new Error(`expected ${count} within ${this.#patienceMs} ms, got ${this.items.length}: ${preview(this.items)}`));
      }, this.#patienceMs);
      const waiter = {
        count,
        wake: (): void => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
          resolve();
        },
      };
      this.#waiting.add(waiter);
    });
    return this.items;
  }
}

function preview(items: readonly unknown[]): string {
  const shown = items.slice(0, 20).map(String).join(", ");
  return items.length > 20 ? `${shown}, ...` : shown;
}
