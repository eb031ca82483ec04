/**
 * For a promise that was given where none is taken, so that nobody will ever look at it: when it rejects, that must not end
 * the process as an unhandled rejection. The caller reports its own error instead.
 */
export function abandon(promise: unknown): void {
  Promise.resolve(promise).then(undefined, () => {});
}
