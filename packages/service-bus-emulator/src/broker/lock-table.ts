import { randomFillSync } from "node:crypto";
import type { QueuedMessage } from "./queued-message.js";
import type { Lock, Session } from "./session.js";

const TOKEN_LENGTH = 16;
let pool = Buffer.alloc(0);
let poolAt = 0;

/** Random bytes that make a valid UUID (version 4). Drawn in bulk: one call to the system for each message costs too much. */
export function newToken(): Buffer {
  if (poolAt + TOKEN_LENGTH > pool.length) {
    pool = randomFillSync(Buffer.alloc(256 * TOKEN_LENGTH));
    poolAt = 0;
  }
  const token = pool.subarray(poolAt, poolAt + TOKEN_LENGTH);
  poolAt += TOKEN_LENGTH;
  token[6] = ((token[6] ?? 0) & 0x0f) | 0x40;
  token[8] = ((token[8] ?? 0) & 0x3f) | 0x80;
  return token;
}

const keyOf = (token: Buffer): string => token.toString("latin1");

/**
 * The locks of a queue. They stand in the order in which they end, since all last equally long; only after the entity's lock duration was
 * made shorter all of them are looked at.
 */
export class LockTable {
  readonly #locks = new Map<string, Lock>();
  #latest = 0;
  #ordered = true;

  get size(): number {
    return this.#locks.size;
  }

  take(message: QueuedMessage, until: number, session: Session | undefined): Lock {
    const lock = { token: newToken(), message, until, session };
    this.#insert(lock);
    message.place = "locked";
    return lock;
  }

  find(token: Buffer): Lock | undefined {
    return this.#locks.get(keyOf(token));
  }

  renew(lock: Lock, until: number): void {
    this.#locks.delete(keyOf(lock.token));
    this.#insert({ ...lock, until });
  }

  release(lock: Lock): void {
    this.#locks.delete(keyOf(lock.token));
    if (this.#locks.size === 0) [this.#ordered, this.#latest] = [true, 0];
  }

  *[Symbol.iterator](): Generator<Lock> {
    yield* this.#locks.values();
  }

  /** When the first lock ends; infinite when there is none. */
  get nextDue(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const lock of this.#locks.values()) {
      due = Math.min(due, lock.until);
      if (this.#ordered) break;
    }
    return due;
  }

  /** The locks that have ended. */
  due(now: number): Lock[] {
    const ended: Lock[] = [];
    for (const lock of this.#locks.values()) {
      if (lock.until <= now) ended.push(lock);
      else if (this.#ordered) break;
    }
    return ended;
  }

  #insert(lock: Lock): void {
    if (lock.until < this.#latest) this.#ordered = false;
    else this.#latest = lock.until;
    this.#locks.set(keyOf(lock.token), lock);
  }
}
