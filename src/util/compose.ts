/** One step around what comes after it. */
export type Step<Context> = (context: Context, next: () => Promise<void>) => Promise<void>;

/**
 * Puts `steps` around `last`, the first outermost. A step that calls `next` twice gets an error: everything after it would run twice. One
 * that ends while what comes after it is still under way, because it does not await `next`, is waited for.
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
      let rest: Promise<void> | undefined;
      const next = (): Promise<void> => {
        if (index < reached) return Promise.reject(new Error("A step called next() twice; it is called once, or not at all."));
        const after = call(index + 1).finally(() => {
          rest = undefined;
        });
        rest = after;
        return after;
      };
      await step(context, next);
      await rest;
    };
    await call(0);
  };
}
