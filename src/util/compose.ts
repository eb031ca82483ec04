/** One step around what comes after it. */
export type Step<Context> = (context: Context, next: () => Promise<void>) => Promise<void>;

/**
 * Puts `steps` around `last`, the first outermost. A step that calls `next` twice gets an error: everything after it would run twice. One
 * that ends without having looked at what `next` came to, or before that has ended, is waited for, and fails as it does.
 */
export function compose<Context>(
  steps: readonly Step<Context>[],
  last: (context: Context) => Promise<void> | void,
): (context: Context) => Promise<void> {
  return async (context) => {
    let reached = -1;
    const call = async (index: number): Promise<void> => {
      reached = index;
      const step = steps[index];
      if (!step) return last(context);
      let rest: Rest | undefined;
      const next = (): Promise<void> => {
        if (index < reached) return Promise.reject(new Error("A step called next() twice; it is called once, or not at all."));
        rest = new Rest(call(index + 1));
        return rest;
      };
      await step(context, next);
      if (rest?.isOpen) await rest;
    };
    await call(0);
  };
}

/** How what comes after a step ends. The step is the judge of it once it has looked: it may catch a failure. */
class Rest extends Promise<void> {
  #isSettled = false;
  #isLookedAt = false;

  constructor(after: Promise<void>) {
    super((resolve) => resolve(after));
    const settled = (): void => {
      this.#isSettled = true;
    };
    // Also so that a step that looks later than it fails does not end the process.
    super.then(settled, settled);
  }

  // What `then` makes is an ordinary promise.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** Whether nobody has looked at how it ends, or it has not ended yet. */
  get isOpen(): boolean {
    return !this.#isSettled || !this.#isLookedAt;
  }

  // biome-ignore lint/suspicious/noThenProperty: that `await` calls it is how a look is noticed.
  override then<Fulfilled = void, Rejected = never>(
    // biome-ignore lint/suspicious/noConfusingVoidType: as Promise<void> has it.
    onFulfilled?: ((value: void) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    this.#isLookedAt = true;
    return super.then(onFulfilled, onRejected);
  }
}
