/**
 * The partition of a key, as Kafka's Java client chooses it (`murmur2(key) & 0x7fffffff % partitions`), so that services in Java and here
 * put one key in one place.
 */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** `org.apache.kafka.common.utils.Utils.murmur2`, a signed 32-bit number. */
export function murmur2(data: Uint8Array): number {
  const { length } = data;
  const rest = length & ~3;
  let hash = SEED ^ length;
  for (let i = 0; i < rest; i += 4) {
    let word = byte(data, i) | (byte(data, i + 1) << 8) | (byte(data, i + 2) << 16) | (byte(data, i + 3) << 24);
    word = Math.imul(word, MULTIPLIER);
    word ^= word >>> 24;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER);
  }
  if (length > rest) {
    for (let i = length - 1; i >= rest; i--) hash ^= byte(data, i) << (8 * (i - rest));
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

function byte(data: Uint8Array, index: number): number {
  return data[index] ?? 0;
}
