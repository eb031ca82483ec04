import type { Logger } from "../../src/contracts/logger.js";
import { LinkedSet } from "../../src/util/linked-set.js";
import type { ManagedClient } from "./connection.js";
import type { MessageLock, ServiceBusDelivery } from "./delivery.js";
import { isLockLost, textOf } from "./errors.js";
import { LONGEST_LOCK_MS } from "./options.js";

/** How often locks are looked at. The shortest lasts 10 s, and is renewed when half of it has gone. */
const LOOK_EVERY_MS = 1_000;
/** Renewals on their way at one time; the client knows one message a request. */
const MAX_RENEWALS = 32;
/** A lock is taken for shorter by this, so that nobody works on what has just been given to another. */
const SAFETY_MS = 500;
/** Below it nothing can be renewed in time, whatever the clocks say. */
const SHORTEST_MS = 2_000;

/**
 * Renews the locks of what is held, before half of the time has gone, for as long as it is held. Not the client's own renewal: that goes by message id, so that
 * of two messages with one id it forgets one, ends after a time, and ends at its first failure.
 */
export class LockKeeper {
  readonly #connection: ManagedClient;
  readonly #renew: (delivery: ServiceBusDelivery) => Promise<Date>;
  readonly #expectedMs: number;
  readonly #logger: Logger;
  readonly #locks: LinkedSet<MessageLock> = new LinkedSet();
  #renewing = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param connection by which `renew` asks: where all room is taken, nothing else shows that it is silent
   * @param renew asks the broker for more time. @returns until when it gives it
   * @param expectedMs how long locks last; the broker's own word is taken when it is less
   */
  constructor(connection: ManagedClient, renew: (delivery: ServiceBusDelivery) => Promise<Date>, expectedMs: number, logger: Logger) {
    this.#connection = connection;
    this.#renew = renew;
    this.#expectedMs = expectedMs;
    this.#logger = logger;
  }

  keep(delivery: ServiceBusDelivery): void {
    const durationMs = this.#durationOf(delivery.message.lockedUntilUtc);
    const lock = { delivery, until: performance.now() + durationMs - SAFETY_MS, durationMs, isRenewing: false, link: undefined };
    delivery.lock = lock;
    this.#locks.add(lock);
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  drop(delivery: ServiceBusDelivery): void {
    if (delivery.lock) this.#locks.delete(delivery.lock);
    delivery.lock = undefined;
    if (this.#locks.first || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Everything that is kept is lost. */
  loseAll(): void {
    for (const { delivery } of this.#locks.all()) this.#lose(delivery);
  }

  /** Whoever was answered already, as a dead letter that is kept, is not told: its lock ends here all the same. */
  #lose(delivery: ServiceBusDelivery): void {
    delivery.lose();
    this.drop(delivery);
  }

  #look(): void {
    const now = performance.now();
    // The oldest come first, and are the first to need it.
    for (const lock of this.#locks.all()) {
      if (now >= lock.until) this.#lose(lock.delivery);
      else if (!lock.isRenewing && lock.until - now < lock.durationMs / 2 && this.#renewing < MAX_RENEWALS) void this.#prolong(lock);
    }
  }

  /** Never rejects. */
  async #prolong(lock: MessageLock): Promise<void> {
    const askedAt = performance.now();
    lock.isRenewing = true;
    this.#renewing++;
    try {
      lock.durationMs = this.#durationOf(await this.#connection.ask(() => this.#renew(lock.delivery)));
      lock.until = askedAt + lock.durationMs - SAFETY_MS;
    } catch (error) {
      if (isLockLost(error)) this.#lose(lock.delivery);
      else
        this.#logger.debug(`The lock of a message at "${lock.delivery.source}" could not be renewed, and is tried again: ${textOf(error)}`);
    } finally {
      lock.isRenewing = false;
      this.#renewing--;
    }
  }

  // Our clock and the broker's may differ: its time is believed only when it makes the lock shorter.
  #durationOf(until: Date | undefined): number {
    const told = until === undefined ? LONGEST_LOCK_MS : until.getTime() - Date.now();
    return Math.min(this.#expectedMs, Math.max(SHORTEST_MS, told));
  }
}
