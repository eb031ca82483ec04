import { randomFillSync } from "node:crypto";
import { monotonicFactory } from "ulid";

/** One system call serves 256 milliseconds in which ids are made: the package's own source makes one for each character. */
const pool = new Uint8Array(4096);
let used: number = pool.length;

function pooledRandom(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return (pool[used++] ?? 0) / 256;
}

/**
 * A new ULID: 26 characters, sortable by time, 80 random bits for each millisecond; ids of one millisecond count upwards
 * from there, so that ids made one after the other in a process sort in that order.
 */
export const newUlid: () => string = ulidFrom(monotonicFactory(pooledRandom));

function ulidFrom(next: (seedTime?: number) => string): () => string {
  return () => next();
}
