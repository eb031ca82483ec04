import type { Claim, Lease } from "../contracts/store.js";

/** A claim that finds another at work looks again after this at the latest, for the other may be done long before its lease ends. */
const LONGEST_BUSY_MS = 250;
const WARN_EVERY_MS = 60_000;
/** Two would do to keep up with one new id a claim; four catch up after a burst. */
const FORGOTTEN_PER_CLAIM = 4;

const DONE: Claim = { state: "done", unsent: undefined };
const NOTHING: Promise<void> = Promise.resolve();
const YES: Promise<boolean> = Promise.resolve(true);
const NO: Promise<boolean> = Promise.resolve(false);

/**
 * The message ids of one endpoint: claimed or handled. Handled ones are forgotten in the order in which they were done, a few with each
 * claim, so that no timer is needed and no claim pays for many. At most `maxIds` are kept; claimed ones count but are never
 * forgotten, for their number is bounded by the endpoint's concurrency. All times are those of `performance.now()`.
 */
export class HandledIds {
  readonly #endpoint: string;
  readonly #maxIds: number;
  readonly #warn: (text: string, fields: object) => void;
  /** The lease of a claimed id; of a handled one the end of its window, for an object each would outlive the young generation. */
  readonly #known = new Map<string, MemoryLease | number>();
  /** Handled ids, oldest first, from `#oldest` on. */
  #order: string[] = [];
  #oldest = 0;
  /** Saves each claim a look at the oldest id, which has long left the processor's cache. */
  #nothingExpiresBefore = 0;
  #forgottenEarly = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(endpoint: string, maxIds: number, warn: (text: string, fields: object) => void) {
    this.#endpoint = endpoint;
    this.#maxIds = maxIds;
    this.#warn = warn;
  }

  /** How many ids are held, claimed and handled. */
  get size(): number {
    return this.#known.size;
  }

  /** See `Store.claim`. */
  claim(messageId: string, windowMs: number, leaseMs: number): Claim {
    const now = performance.now();
    let known = this.#known.get(messageId);
    if (typeof known === "number") {
      if (known > now) return DONE;
      // All that expired before it goes with it, so that no id is in the order twice.
      this.#forgetExpired(now, Number.POSITIVE_INFINITY);
      known = undefined;
    } else if (known !== undefined && known.until > now) {
      return { state: "busy", againInMs: Math.min(known.until - now, LONGEST_BUSY_MS) };
    } else {
      this.#forgetExpired(now, FORGOTTEN_PER_CLAIM);
    }
    if (known === undefined && this.#known.size >= this.#maxIds) this.#forgetOldest(now, windowMs);
    const lease = new MemoryLease(this, messageId, windowMs, now + leaseMs);
    this.#known.set(messageId, lease);
    return { state: "mine", lease };
  }

  /** Whether `lease` still is the one that counts for its id. */
  holds(lease: MemoryLease): boolean {
    return this.#known.get(lease.messageId) === lease;
  }

  /** Also when the lease was lost meanwhile: handled it is, and the run that took over is told so by its next renewal. */
  done(lease: MemoryLease): void {
    if (typeof this.#known.get(lease.messageId) === "number") return;
    // A whole number is kept in the map itself; one with a fraction would be an object on the heap.
    this.#known.set(lease.messageId, Math.ceil(performance.now() + lease.windowMs));
    this.#order.push(lease.messageId);
  }

  release(lease: MemoryLease): void {
    if (this.holds(lease)) this.#known.delete(lease.messageId);
  }

  /** Forgets what is claimed and not handled. */
  giveBackClaims(): void {
    for (const [messageId, known] of this.#known) if (typeof known !== "number") this.#known.delete(messageId);
  }

  #forgetExpired(now: number, atMost: number): void {
    if (now < this.#nothingExpiresBefore) return;
    for (let i = 0; i < atMost && this.#oldest < this.#order.length; i++) {
      const known = this.#known.get(this.#order[this.#oldest] ?? "");
      if (typeof known === "number" && known > now) {
        this.#nothingExpiresBefore = known;
        return;
      }
      this.#dropOldest();
    }
  }

  #forgetOldest(now: number, windowMs: number): void {
    if (this.#oldest === this.#order.length) return;
    this.#dropOldest();
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

  #dropOldest(): void {
    const messageId = this.#order[this.#oldest++] ?? "";
    if (typeof this.#known.get(messageId) === "number") this.#known.delete(messageId);
    if (this.#oldest >= 1024 && this.#oldest * 2 >= this.#order.length) {
      this.#order = this.#order.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}

class MemoryLease implements Lease {
  readonly transaction = undefined;
  readonly messageId: string;
  readonly windowMs: number;
  readonly #ids: HandledIds;
  /** When another may claim the id. */
  until: number;

  constructor(ids: HandledIds, messageId: string, windowMs: number, until: number) {
    this.#ids = ids;
    this.messageId = messageId;
    this.windowMs = windowMs;
    this.until = until;
  }

  renew(leaseMs: number): Promise<boolean> {
    if (!this.#ids.holds(this)) return NO;
    this.until = performance.now() + leaseMs;
    return YES;
  }

  done(): undefined {
    this.#ids.done(this);
  }

  release(): Promise<void> {
    this.#ids.release(this);
    return NOTHING;
  }
}
