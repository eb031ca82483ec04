import { Buffer } from "node:buffer";

/** Small, for a single message that is kept long (a dead letter in memory) keeps all of its slab. */
const SLAB_BYTES = 16_384;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const MOST_BYTES_A_UNIT = 3;

let slab: Buffer = Buffer.alloc(0);
let used = 0;

/**
 * `text` as UTF-8. Like `Buffer.from(text)`, in half of the time for the usual size of a message: the length in bytes is not
 * computed before it is known from writing. The bytes are the caller's; they share their memory with those of other calls, as `Buffer.from`'s do.
 */
export function utf8Bytes(text: string): Buffer {
  const mostBytes = text.length * MOST_BYTES_A_UNIT;
  if (mostBytes > SLAB_BYTES) return Buffer.from(text);
  if (mostBytes > slab.length - used) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    used = 0;
  }
  const start = used;
  used += slab.write(text, start);
  return slab.subarray(start, used);
}
