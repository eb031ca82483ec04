/** One step around what comes after it. */
export type Step<Context> = (context: Context, next: () => Promise<void>) => Promise<void>;

/** Puts `steps` around `last`, the first outermost. A step that calls `next` twice gets an error: everything after it would run twice. */
export function compose<Context>(
  steps: readonly Step<Context>[],
  last: (context: Context) => Promise<void> | void,
): (context: Context) => Promise<void> {
  return async (context) => {
    let reached = -1;
    const call = async (index: number): Promise<void> => {
      if (index <= reached) throw new Error("A step called next() twice; it is called once, or not at all.");
      reached = index;
      const step = steps[index];
      await (step ? step(context, () => call(index + 1)) : last(context));
    };
    await call(0);
  };
}
