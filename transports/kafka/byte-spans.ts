/** From one byte up to another. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Closes the gaps that these leave, which lie in their order, in the memory of the bytes. */
export function without(spans: readonly Span[], bytes: Buffer): Buffer {
  let end = spans[0]?.from ?? bytes.length;
  spans.forEach(({ to }, i) => {
    const next = spans[i + 1]?.from ?? bytes.length;
    bytes.copyWithin(end, to, next);
    end += next - to;
  });
  return bytes.subarray(0, end);
}
