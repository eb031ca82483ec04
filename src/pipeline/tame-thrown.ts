/**
 * What a consumer threw, or an error that stands for it when it cannot even be looked at: `instanceof` throws on a revoked proxy, and
 * what judges a failure must not fail.
 */
export function tameThrown(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error);
    return thrown;
  } catch (cause) {
    return new Error("The consumer threw something that cannot be looked at.", { cause });
  }
}
