/**
 * The wait before try number `attempt` (0 is the first repetition): exponential from `baseMs`, at most `maxMs`, with full
 * jitter, so that instances that failed together do not come back together.
 */
export function backoffWithFullJitter(attempt: number, baseMs: number, maxMs: number): number {
  return Math.random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
}

/** Like {@link backoffWithFullJitter}, but never below half of the bound: for reconnects, where a wait of nothing is a hot loop. */
export function backoffWithHalfJitter(attempt: number, baseMs: number, maxMs: number): number {
  const bound = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return bound / 2 + (Math.random() * bound) / 2;
}
