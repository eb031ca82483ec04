/**
 * Which brokers have been asked for records and since when, so that one that does not answer is noticed although the others do. A request that runs out of time
 * needs no watch, the client ends it; but it was seen to wait with no request on its way at all.
 */
export class FetchWatch {
  readonly #since = new Map<number, number>();
  /** Those that were asked in this stretch of code. */
  readonly #together = new Set<number>();

  /** Since when the one that has been asked for longest has not answered (`performance.now()`); now, when all have. */
  get oldest(): number {
    let oldest = performance.now();
    for (const since of this.#since.values()) if (since < oldest) oldest = since;
    return oldest;
  }

  started(node: number): void {
    if (this.#together.size === 0) queueMicrotask(() => this.#together.clear());
    this.#together.add(node);
    // After a fetch that failed, of which nothing is told, the client begins anew with all brokers that are left, and not before each fetch has come to an end.
    const isAnew = this.#together.size > 1 || this.#since.has(node);
    if (isAnew) for (const other of this.#since.keys()) if (!this.#together.has(other)) this.#since.delete(other);
    this.#since.set(node, performance.now());
  }

  ended(node: number): void {
    this.#since.delete(node);
  }
}
