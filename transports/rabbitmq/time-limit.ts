/**
 * What `work` does, or `otherwise` after `ms`: for requests to a server that may have stopped answering. The work itself goes on; what
 * becomes of it then is nobody's concern, so a later rejection is taken.
 */
export async function within<T>(ms: number, work: Promise<T>, otherwise: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(otherwise()), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `work`, at most `ms`, whatever comes of it. */
export async function settledWithin(ms: number, work: Promise<unknown>): Promise<void> {
  await within(ms, work, () => new Error("the time is over")).catch(() => {});
}
