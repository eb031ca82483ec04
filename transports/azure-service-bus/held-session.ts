import type { ServiceBusReceivedMessage, ServiceBusSessionReceiver } from "@azure/service-bus";
import type { Logger } from "../../src/contracts/logger.js";
import type { DeliverySink } from "../../src/contracts/transport.js";
import type { ManagedClient } from "./connection.js";
import type { DeliveryHome, ServiceBusDelivery, Verdict } from "./delivery.js";
import { isLockLost, textOf } from "./errors.js";
import { HeldDeliveries } from "./held-deliveries.js";
import { SESSIONS } from "./mapping.js";
import { OrderedIntake } from "./ordered-intake.js";
import type { QueueHome } from "./queue-home.js";
import { SessionNotes } from "./session-notes.js";
import type { RoomSeeker, SharedRoom } from "./shared-room.js";
import type { DeliveryCounts } from "./suspicion.js";
import { answered, settledBy } from "./time-limit.js";

/** What a {@link HeldSession} is made with. */
export interface SessionContext {
  /** Names the receiver, and no other, in the notes that outlive it. */
  readonly holder: string;
  readonly connection: ManagedClient;
  readonly client: ManagedClient["client"];
  readonly counts: DeliveryCounts;
  readonly sink: DeliverySink;
  readonly logger: Logger;
  /** For what the core holds, of all sessions together. */
  readonly room: SharedRoom;
  readonly lockDurationMs: number;
  home(receiver: ServiceBusSessionReceiver): QueueHome;
  /** Called once: the session is held no longer. */
  ended(session: HeldSession, reason: string): void;
}

/** A lock is taken for shorter by this, so that nobody works on what has just been given to another. */
const SAFETY_MS = 500;
/** So long giving a session back may take. */
const CLOSE_MS = 10_000;
/** Below it nothing can be renewed in time, whatever the clocks say. */
const SHORTEST_MS = 2_000;

/** One session that this process has the lock of, with what is held of it. Its messages have no locks of their own. */
export class HeldSession implements RoomSeeker {
  readonly #receiver: ServiceBusSessionReceiver;
  readonly #context: SessionContext;
  readonly #notes: SessionNotes;
  readonly #intake: OrderedIntake;
  readonly #held: HeldDeliveries;
  readonly #acceptedAt: number = performance.now();
  /** When it was last tried to give it back, or it was taken. */
  #triedAt: number = performance.now();
  /** When something last came, or left. */
  #activeAt: number = performance.now();
  /** On the clock of `performance.now()`. */
  #lockedUntil: number;
  #lockMs: number;
  /** What has come, and is not in the core yet. */
  #next: { readonly delivery: ServiceBusDelivery; readonly another: () => void } | undefined;
  readonly #admittedOnes = new Set<ServiceBusDelivery>();
  #isRenewing = false;
  #isStopping = false;
  #closing: Promise<void> | undefined;
  #isEnded = false;

  constructor(receiver: ServiceBusSessionReceiver, context: SessionContext) {
    this.#receiver = receiver;
    this.#context = context;
    this.#notes = new SessionNotes(receiver, context.holder, context.connection.requestTimeoutMs, context.logger);
    this.#intake = new OrderedIntake(context.sink, this.#notes, context.room.mostOfOne, context.logger);
    this.#held = new HeldDeliveries(new SessionHome(context.home(receiver), this.#intake), context.counts, undefined);
    this.#lockMs = this.#lockDuration();
    this.#lockedUntil = performance.now() + this.#lockMs - SAFETY_MS;
  }

  get id(): string {
    return this.#receiver.sessionId;
  }

  get size(): number {
    return this.#held.size;
  }

  /** How long nothing has come or left, 0 while something is held. */
  get idleMs(): number {
    return this.#held.size > 0 ? 0 : performance.now() - this.#activeAt;
  }

  /** How long it has been held. */
  get heldMs(): number {
    return performance.now() - this.#acceptedAt;
  }

  /** How long since it was last tried to give it back, or since it was taken. */
  get untriedMs(): number {
    return performance.now() - this.#triedAt;
  }

  /** How long something has waited for room while nothing of the session is in the core, 0 when it is not so. */
  get inVainMs(): number {
    return this.#next && this.#admittedOnes.size === 0 ? performance.now() - this.#activeAt : 0;
  }

  /** Of the one that waits there is room in the core now. */
  admitted(): void {
    const next = this.#next;
    this.#next = undefined;
    if (!next) return;
    this.#admittedOnes.add(next.delivery);
    this.#intake.take(next.delivery, this.#context.counts.unexplained(next.delivery.message));
    next.another();
  }

  start(): void {
    this.#receiver.subscribe(
      {
        processMessage: (message) => this.#arrived(message),
        processError: async ({ error, errorSource }) => {
          if (errorSource === "receive" || isLockLost(error)) this.end(textOf(error));
        },
      },
      { autoCompleteMessages: false, maxConcurrentCalls: 1 },
    );
  }

  /** Called now and then: renews the lock, and finds out whether it is gone. */
  look(): void {
    const now = performance.now();
    if (this.#receiver.isClosed) this.end("its link was lost");
    else if (now >= this.#lockedUntil) this.end("its lock could not be renewed in time");
    else if (!this.#isRenewing && this.#lockedUntil - now < this.#lockMs / 2) void this.#renew();
  }

  /**
   * Hands nothing more to the core; the session is given back when the core has nothing of it, with what has come and was not handed. The link stays
   * open meanwhile, and its room for more is not renewed: closing it now, or asking the broker to drain it, would take the lock from what is being handled.
   */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#context.room.leave(this);
    this.#intake.holdUp();
    const closing = this.#intake.whenIdle().then(() => this.close());
    if (this.#intake.isIdle) await closing;
  }

  /**
   * Gives the session back if the core has soon done with what it has of it. A key that waits for its retry, or a handler that takes long, keeps the
   * session here: then it goes on, so that the other keys do not wait too.
   * @param limitMs how long nothing more is handed to the core meanwhile
   */
  async tryToGiveBack(limitMs: number): Promise<void> {
    this.#triedAt = Number.POSITIVE_INFINITY;
    this.#intake.holdUp();
    await settledBy(performance.now() + limitMs, this.#intake.whenIdle());
    this.#triedAt = performance.now();
    if (this.#isStopping) return;
    if (this.#intake.isIdle) await this.close();
    else this.#intake.goOn();
  }

  /** Gives the session back, with all that is held of it: the broker counts none of it as a delivery that failed. Never rejects. */
  async close(deadline: number = performance.now() + CLOSE_MS): Promise<void> {
    this.#closing ??= this.#close(deadline);
    await settledBy(deadline, this.#closing);
  }

  async #close(deadline: number): Promise<void> {
    if (this.#isEnded) return;
    this.#isStopping = true;
    this.#intake.end();
    const { logger } = this.#context;
    const noted = this.#notes.close(isOfOurs(this.id)).catch((error: unknown) => {
      logger.debug(`The session ${this.id} is given back with a note that it is held: ${textOf(error)}`);
    });
    await settledBy(deadline, noted);
    await Promise.all(this.#held.undecided.map((delivery) => delivery.release()));
    await settledBy(deadline, this.end("closed"));
  }

  /** It is held no longer, and neither is anything of it. */
  async end(reason: string): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#isStopping = true;
    this.#intake.end();
    this.#held.loseAll();
    this.#context.ended(this, reason);
    await this.#receiver.close().catch((error: unknown) => this.#context.logger.debug(`A session did not close: ${textOf(error)}`));
  }

  #arrived(message: ServiceBusReceivedMessage): Promise<void> {
    this.#context.connection.heard();
    this.#activeAt = performance.now();
    return new Promise((resolve) => {
      // It goes back with the session, which is to get no more.
      if (this.#isStopping) return;
      const delivery = this.#held.add(message, (gone) => this.#gone(gone));
      // At most one waits here: the client asks for another only when this promise is fulfilled.
      this.#next = { delivery, another: resolve };
      this.#context.room.take(this);
    });
  }

  // Our clock and the broker's may differ: its time is believed only when it makes the lock shorter.
  #lockDuration(): number {
    const told = this.#receiver.sessionLockedUntilUtc.getTime() - Date.now();
    return Math.min(this.#context.lockDurationMs, Math.max(SHORTEST_MS, told));
  }

  #gone(delivery: ServiceBusDelivery): void {
    this.#activeAt = performance.now();
    this.#intake.gone(delivery);
    if (this.#next?.delivery === delivery) {
      this.#context.room.leave(this);
      const { another } = this.#next;
      this.#next = undefined;
      if (!this.#isStopping) another();
    }
    if (this.#admittedOnes.delete(delivery)) this.#context.room.give(this);
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const { connection, client, logger } = this.#context;
    const askedAt = performance.now();
    this.#isRenewing = true;
    try {
      await answered(this.#receiver.renewSessionLock(), connection.requestTimeoutMs);
      connection.heard();
      this.#lockMs = this.#lockDuration();
      this.#lockedUntil = askedAt + this.#lockMs - SAFETY_MS;
    } catch (error) {
      connection.failed(error, client);
      if (isLockLost(error)) void this.end("its lock is lost");
      else logger.debug(`The lock of the session ${this.id} could not be renewed, and is tried again: ${textOf(error)}`);
    } finally {
      this.#isRenewing = false;
    }
  }
}

/** Others' messages may have any session; one of ours comes again, and what is noted of it may stay. */
function isOfOurs(session: string): boolean {
  return /^\d{1,4}$/.test(session) && Number(session) < SESSIONS;
}

/** Tells the intake what becomes of messages. What is given back goes back with the session: that alone the broker does not count. */
class SessionHome implements DeliveryHome {
  readonly isDeadLetter = false;
  readonly #home: QueueHome;
  readonly #intake: OrderedIntake;

  constructor(home: QueueHome, intake: OrderedIntake) {
    this.#home = home;
    this.#intake = intake;
  }

  get source(): string {
    return this.#home.source;
  }

  storeRetry(...given: Parameters<QueueHome["storeRetry"]>): Promise<void> {
    return this.#home.storeRetry(...given);
  }

  async settle(delivery: ServiceBusDelivery, verdict: Verdict): Promise<"settled" | "lost"> {
    if (verdict.as === "release") return "settled";
    const result = await this.#home.settle(delivery, verdict);
    if (result === "settled") this.#intake.settled(delivery);
    return result;
  }

  survived(delivery: ServiceBusDelivery): void {
    this.#home.survived(delivery);
    this.#intake.cleared(delivery);
  }
}
