/** What comes of `work`, or `otherwise` when nothing has after `ms` milliseconds. The work itself goes on after its time. */
export async function within<T>(ms: number, work: Promise<T>, otherwise: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(otherwise()), Math.max(0, ms));
  });
  try {
    // The race has a handler on the work, so that a later rejection is nobody's surprise.
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `work`, at most until `deadline` (a `performance.now()` time), whatever comes of it. */
export async function settledBy(deadline: number, work: Promise<unknown>): Promise<void> {
  await within(deadline - performance.now(), work, () => new Error("the time is over")).catch(() => {});
}
