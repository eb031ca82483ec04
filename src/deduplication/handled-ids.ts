import type { Claim, Lease } from "../contracts/store.js";

/** A claim that finds another at work looks again after this at the latest, for the other may be done long before its lease ends. */
const LONGEST_BUSY_MS = 250;
const WARN_EVERY_MS = 60_000;

const DONE: Promise<Claim> = Promise.resolve({ state: "done", unsent: undefined });
const NOTHING: Promise<undefined> = Promise.resolve(undefined);
const YES: Promise<boolean> = Promise.resolve(true);
const NO: Promise<boolean> = Promise.resolve(false);

/**
 * The message ids of one endpoint: claimed or handled. Handled ones are a list in the order in which they were done, which is the order in
 * which they are forgotten: a few from its head with each claim, so that no timer is needed and no claim pays for many.
 * At most `maxIds` are kept, running ones included; those are never forgotten, for their number is bounded by the concurrency.
 */
export class HandledIds {
  readonly #endpoint: string;
  readonly #maxIds: number;
  readonly #warn: (text: string, fields: object) => void;
  readonly #leases = new Map<string, MemoryLease>();
  #oldestDone: MemoryLease | undefined;
  #newestDone: MemoryLease | undefined;
  #forgottenEarly = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(endpoint: string, maxIds: number, warn: (text: string, fields: object) => void) {
    this.#endpoint = endpoint;
    this.#maxIds = maxIds;
    this.#warn = warn;
  }

  /** How many ids are held, claimed and handled. */
  get size(): number {
    return this.#leases.size;
  }

  /** Times are milliseconds of `performance.now()`. See {@link Store.claim}. */
  claim(messageId: string, windowMs: number, leaseMs: number, now: number): Promise<Claim> {
    this.#forgetExpired(now);
    const known = this.#leases.get(messageId);
    if (known !== undefined && known.until > now) {
      if (known.isDone) return DONE;
      return Promise.resolve({ state: "busy", againInMs: Math.min(known.until - now, LONGEST_BUSY_MS) });
    }
    if (known === undefined && this.#leases.size >= this.#maxIds) this.#forgetOldest(now, windowMs);
    const lease = new MemoryLease(this, messageId, windowMs, now + leaseMs);
    this.#leases.set(messageId, lease);
    return Promise.resolve({ state: "mine", lease });
  }

  /** Whether `lease` still is the one that counts for its id. */
  holds(lease: MemoryLease): boolean {
    return this.#leases.get(lease.messageId) === lease;
  }

  /** Also when the lease was lost meanwhile: handled it is, and the run that took over must not be the one that decides. */
  done(lease: MemoryLease): void {
    const holder = this.#leases.get(lease.messageId);
    if (holder?.isDone) return;
    if (holder !== lease) this.#leases.set(lease.messageId, lease);
    lease.isDone = true;
    lease.until = performance.now() + lease.windowMs;
    if (this.#newestDone === undefined) this.#oldestDone = lease;
    else this.#newestDone.next = lease;
    this.#newestDone = lease;
  }

  release(lease: MemoryLease): void {
    if (!lease.isDone && this.holds(lease)) this.#leases.delete(lease.messageId);
  }

  giveBackClaims(): void {
    for (const lease of this.#leases.values()) this.release(lease);
  }

  #forgetExpired(now: number): void {
    for (let i = 0; i < 4 && this.#oldestDone !== undefined && this.#oldestDone.until <= now; i++) this.#dropOldest(this.#oldestDone);
  }

  #forgetOldest(now: number, windowMs: number): void {
    const oldest = this.#oldestDone;
    if (oldest === undefined) return;
    this.#dropOldest(oldest);
    if (oldest.until <= now) return;
    this.#forgottenEarly++;
    if (now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warn(
      `The memory store forgets handled ids of the endpoint "${this.#endpoint}" before their window is over, because it keeps at most ` +
        `${this.#maxIds}: a copy of a message that arrives after that is handled again. Raise maxIds of memoryStore(), shorten ` +
        "deduplication.window, or use a shared store.",
      { endpoint: this.#endpoint, forgottenEarly: this.#forgottenEarly, maxIds: this.#maxIds, windowMs },
    );
    this.#warnedAt = now;
    this.#forgottenEarly = 0;
  }

  #dropOldest(oldest: MemoryLease): void {
    this.#oldestDone = oldest.next;
    if (oldest.next === undefined) this.#newestDone = undefined;
    // An expired id may have been claimed anew: the entry is then another's.
    if (this.holds(oldest)) this.#leases.delete(oldest.messageId);
  }
}

class MemoryLease implements Lease {
  readonly transaction = undefined;
  readonly messageId: string;
  readonly windowMs: number;
  readonly #ids: HandledIds;
  /** End of the lease; once done, end of the window. */
  until: number;
  isDone = false;
  /** The id that was done next. */
  next: MemoryLease | undefined = undefined;

  constructor(ids: HandledIds, messageId: string, windowMs: number, until: number) {
    this.#ids = ids;
    this.messageId = messageId;
    this.windowMs = windowMs;
    this.until = until;
  }

  renew(leaseMs: number): Promise<boolean> {
    if (this.isDone || !this.#ids.holds(this)) return NO;
    this.until = performance.now() + leaseMs;
    return YES;
  }

  done(): Promise<undefined> {
    this.#ids.done(this);
    return NOTHING;
  }

  release(): Promise<undefined> {
    this.#ids.release(this);
    return NOTHING;
  }
}
