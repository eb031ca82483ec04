/**
 * Which topics one broker need not be asked for each time. A fetch names every partition, the broker looks at each, and of an endpoint's most are those of its retry topics, where
 * nothing is to be had before a delay is over: left out of most fetches they cost nothing.
 */
export class RestingTopics {
  readonly #rests: ReadonlyMap<string, number>;
  /** When those that rest are to be asked for again, by `performance.now()`. */
  readonly #until = new Map<string, number>();

  /** @param rests how long a topic may rest, in milliseconds, when the broker had nothing of it; of the others none rests */
  constructor(rests: ReadonlyMap<string, number>) {
    this.#rests = rests;
  }

  get areAny(): boolean {
    return this.#rests.size > 0;
  }

  isResting(topic: string, now: number): boolean {
    return now < (this.#until.get(topic) ?? 0);
  }

  asked(topic: string, now: number): void {
    const rest = this.#rests.get(topic);
    if (rest !== undefined) this.#until.set(topic, now + rest);
  }

  /** There may be more of it. */
  brought(topic: string): void {
    this.#until.delete(topic);
  }
}
