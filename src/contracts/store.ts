import type { Logger } from "./logger.js";
import type { OutgoingMessage } from "./transport.js";

/**
 * Remembers what was handled, by (endpoint, message id). With a transaction it also keeps what is to be sent. One for a bus.
 *
 * The rule of trouble: when a method rejects (but for `provision` and a wrong option), or answers what this file does not know, the core keeps the
 * delivery, pauses the endpoint, says so in `health()` and tries again, for ever; it is never counted against a message. What became of such a
 * `done` is not known (the commit may have got through): the core claims again and believes the answer.
 */
export interface Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities;
  /** Rejects when that cannot succeed (no right, wrong version), else keeps trying until `signal` aborts. Afterwards it repairs its connections by itself. */
  open(host: StoreHost, signal: AbortSignal): Promise<void>;
  /** Tables, scripts. Idempotent, safe against another instance doing the same, never destroys. Rejects with every difference. */
  provision(mode: "create" | "verify"): Promise<void>;
  /**
   * Called once for each **run**, after the retry step, so that no claim and no transaction is held while a retry waits, and so that a
   * failed transaction is never run in again. At once: it waits for no lock of another claim (that is "busy"). A store that knows the answer
   * without asking anybody (memory) gives it as it is: a promise for it would cost more than the rest of the claim.
   */
  claim(request: ClaimRequest): Promise<Claim> | Claim;
  /** `undefined` unless `capabilities.transactional`. */
  readonly outbox: Outbox | undefined;
  /** Gives back what is claimed or taken, stops cleaning up. The user's own client or pool stays open. Never rejects. */
  close(deadline: number): Promise<void>;
}

export interface StoreCapabilities {
  /** Whether two instances see each other. Memory: false. */
  readonly shared: boolean;
  /** Effects, handled id and outgoing messages in one commit (P3), and the outbox. PostgreSQL only. */
  readonly transactional: boolean;
  readonly defaultWindowMs: number;
  /** Most claims at one time; `Infinity` when it costs no connection. Below the sum of `concurrency` the start fails: handlers would wait for each other's connection for ever. */
  readonly maxClaims: number;
}

export interface StoreHost {
  /** Rows and keys belong to it: two services may share a database. */
  readonly service: string;
  readonly namePrefix: string;
  readonly logger: Logger;
  status(status: "up" | "down", reason?: string): void;
}

export interface ClaimRequest {
  readonly endpoint: string;
  readonly messageId: string;
  /** How long `done` is remembered. */
  readonly windowMs: number;
  /** The core uses 30,000 and renews every third of it. A store whose claim ends with its connection (PostgreSQL) needs no renewal. */
  readonly leaseMs: number;
  /** The run's own time limit: a store that holds a transaction lets the server end it soon after, should this process be frozen. */
  readonly runTimeoutMs: number;
}

export type Claim =
  | { readonly state: "mine"; readonly lease: Lease }
  /** Handled. `unsent`: what its handler sent and what is not marked; send it, mark it, then settle. */
  | { readonly state: "done"; readonly unsent: Kept | undefined }
  /** Another instance is at it, or died at it. Not a failure: looked at again after `againInMs`, without an attempt. */
  | { readonly state: "busy"; readonly againInMs: number };

/** One run's right to handle a message. Exactly one of `done` and `release` is called, once. */
export interface Lease {
  /** What the handler may write through (PostgreSQL: a client within a transaction); `transactionOf(context)` gives it. */
  readonly transaction: unknown;
  /** false: the lease was lost, another run may have begun; the core aborts this one. */
  renew(leaseMs: number): Promise<boolean>;
  /**
   * Success. Transactional: writes the handled id and `outgoing`, commits, resolves with what is to be sent now and marked then; the relay leaves it
   * alone for `reservedMs`. Any other store: the core has sent `outgoing` before, passes `[]`, and gets `undefined`.
   * When the lease was lost: transactional rejects (all is rolled back); any other records it, for handled it is.
   * `undefined` instead of a promise: recorded within the call, and nothing is to be sent.
   */
  done(outgoing: readonly OutgoingMessage[], reservedMs: number): Promise<Kept | undefined> | undefined;
  /**
   * Failure or time-out: rolls back, forgets. After a time-out the connection is destroyed and not given back to the pool, for the handler
   * may still be writing through it.
   */
  release(): Promise<void>;
}

/** Messages that are committed and not known to have been confirmed by the broker. */
export interface Kept {
  readonly messages: readonly OutgoingMessage[];
  /** After the broker confirmed all of them. When it rejects nothing is lost: they are sent once more, with the same ids. */
  sent(): Promise<void>;
}

/**
 * The outbox, for messages of `bus.within(transaction)`, and the net under those of handlers. The store keeps and hands out; **the relay that sends is
 * the core's** (`src/outbox/relay`), one for each started bus. A row belongs to (`service`, `namePrefix`); another service's are never taken.
 *
 * Order: messages of one `partitionKey` leave in the order in which they were written, over any number of relays. `SKIP LOCKED` on rows does not
 * give that (a second relay would take the next of the key): the lock is on a **lane**, the hash of the key modulo a fixed number; whoever holds a
 * lane holds all of it. Messages without a key are spread over lanes that promise nothing.
 */
export interface Outbox {
  /**
   * Writes in the caller's transaction and resolves when that is done; never begins, commits or rolls back. The wake-up (PostgreSQL: NOTIFY) is part
   * of the transaction, so that it comes with the commit and not before. @throws "configuration" when `transaction` is not one: no BEGIN (in
   * PostgreSQL SAVEPOINT is an error then, a plain insert would commit at once), ended, a pool.
   */
  write(transaction: object, messages: readonly OutgoingMessage[]): Promise<void>;
  /** Called when there may be something to take: a commit of this or another process, a reservation that ran out, the slow poll. Returns how to stop. */
  onReady(listener: () => void): () => void;
  /** At most `limit` committed and unmarked messages of lanes that nobody else holds, oldest first; `undefined` when there is none. */
  take(limit: number, leaseMs: number): Promise<OutboxBatch | undefined>;
  /** For `health()`; may be some seconds old. */
  backlog(): { readonly waiting: number; readonly oldestAgeMs: number; readonly setAside: number };
}

export interface OutboxBatch {
  /** In the order to be sent in. The lanes are held until `finish`, or until the lease ends with this process. */
  readonly entries: readonly { readonly id: string; readonly message: OutgoingMessage }[];
  renew(leaseMs: number): Promise<boolean>;
  /**
   * Marks what was confirmed; puts aside, with the reason, what the broker refused for good (`retryable: false`: unroutable, too large), so that one
   * message cannot stop its lane (P4); leaves the rest, which is then the first of its lane. "unknown" is left, and sent again with the same id.
   */
  finish(sent: readonly string[], setAside: readonly { readonly id: string; readonly reason: string }[]): Promise<void>;
}
