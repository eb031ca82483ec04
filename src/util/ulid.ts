import { randomFillSync } from "node:crypto";
import { ulid } from "ulid";
import { ALPHABET, PAIRS } from "./crockford-base32.js";

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

/** The last six characters are counted upwards; in a millisecond nobody makes as many ids. */
const HIGHEST = 2 ** 30 - 1;
const COUNTED_AT = 20;

let time = 0;
let beginning = "";
let count = HIGHEST;

/**
 * A new ULID: 26 characters, sortable by time, 80 random bits for each millisecond; ids of one millisecond count upwards
 * from there, so that ids made one after the other in a process sort in that order.
 */
export function newUlid(): string {
  const now = Date.now();
  if (now > time || count === HIGHEST) begin(Math.max(now, time + 1));
  else count++;
  return beginning + (PAIRS[count >> 20] ?? "") + (PAIRS[(count >> 10) & 1023] ?? "") + (PAIRS[count & 1023] ?? "");
}

function begin(at: number): void {
  const first = ulid(at, pooledRandom);
  time = at;
  beginning = first.slice(0, COUNTED_AT);
  count = 0;
  for (const character of first.slice(COUNTED_AT)) count = 32 * count + ALPHABET.indexOf(character);
}
