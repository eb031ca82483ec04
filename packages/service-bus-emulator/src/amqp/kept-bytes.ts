/** Bytes of one slab; what is longer than a quarter of it has memory of its own. */
const SLAB = 16_384;

let slab = Buffer.allocUnsafeSlow(SLAB);
let used = 0;

/**
 * A copy for bytes that stay: of messages, which may wait for days. Node's own pool would mix them with what is written to sockets and
 * forgotten at once, and each message would keep such neighbours in memory; here its neighbours are messages of the same time.
 */
export function keptCopy(view: Buffer): Buffer {
  const { length } = view;
  if (length > SLAB / 4) {
    const own = Buffer.allocUnsafeSlow(length);
    view.copy(own);
    return own;
  }
  if (used + length > SLAB) {
    slab = Buffer.allocUnsafeSlow(SLAB);
    used = 0;
  }
  const copy = slab.subarray(used, used + length);
  view.copy(copy);
  used += length;
  return copy;
}
