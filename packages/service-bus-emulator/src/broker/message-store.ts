import { Agenda } from "./agenda.js";
import type { Journal } from "./journal.js";
import { LockTable } from "./lock-table.js";
import { MessageLog } from "./message-log.js";
import type { QueuedMessage } from "./queued-message.js";
import { ReadyQueue } from "./ready-queue.js";
import type { Lock, Session } from "./session.js";
import type { SessionTable } from "./session-table.js";

/** The messages of one queue, by what can be done with them. It knows where each one stands, not why. */
export class MessageStore {
  readonly log: MessageLog = new MessageLog();
  readonly locks: LockTable = new LockTable();
  readonly #id: number;
  readonly #sessions: SessionTable | undefined;
  readonly #journal: Journal | undefined;
  readonly #ready = new ReadyQueue();
  readonly #expiring = new Agenda(
    (message) => message.expiresAt,
    (message) => message.place === "ready",
  );
  readonly #scheduled = new Agenda(
    (message) => message.scheduledEnqueueTime ?? 0,
    (message) => message.place === "scheduled",
  );
  #scheduledCount = 0;
  #sequence = 0;
  #bytes = 0;

  constructor(id: number, sessions: SessionTable | undefined, journal: Journal | undefined) {
    this.#id = id;
    this.#sessions = sessions;
    this.#journal = journal;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get scheduledCount(): number {
    return this.#scheduledCount;
  }

  /** The last sequence number given. */
  get lastSequence(): number {
    return this.#sequence;
  }

  takeSequence(): number {
    return ++this.#sequence;
  }

  /** Numbers up to this one were given before. */
  continueFrom(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  /** When something has to be done next, but for sessions; infinite when nothing has. */
  get nextDue(): number {
    return Math.min(this.#sessions ? Number.POSITIVE_INFINITY : this.locks.nextDue, this.#expiring.nextDue, this.#scheduled.nextDue);
  }

  /** A new message, put where its state says. */
  insert(message: QueuedMessage): void {
    this.log.append(message);
    this.#bytes += message.size;
    const session = this.sessionOf(message);
    if (session) session.messages++;
    switch (message.state) {
      case 0:
        this.#readyOf(message).push(message);
        this.#watchExpiry(message);
        break;
      case 1:
        message.place = "deferred";
        break;
      case 2:
        message.place = "scheduled";
        this.#scheduledCount++;
        this.#scheduled.add(message);
    }
  }

  /** Makes a message ready again that was taken. */
  putBack(message: QueuedMessage): void {
    this.#readyOf(message).putBack(message);
    this.#watchExpiry(message);
  }

  /** The next ready message, taken: of a session, or of the queue. It may have expired. */
  take(session: Session | undefined): QueuedMessage | undefined {
    const message = (session?.ready ?? this.#ready).take();
    if (message) this.#leaveReady(message);
    return message;
  }

  /** Takes a ready message out of its turn. */
  withdraw(message: QueuedMessage): void {
    this.#leaveReady(message);
    this.#readyOf(message).noteLeft();
  }

  lock(message: QueuedMessage, until: number, session: Session | undefined): Lock {
    const lock = this.locks.take(message, until, session);
    session?.locks.add(lock);
    return lock;
  }

  unlock(lock: Lock): void {
    this.locks.release(lock);
    lock.session?.locks.delete(lock);
  }

  /** Lets go of a message that is not ready. */
  remove(message: QueuedMessage): void {
    const session = this.sessionOf(message);
    this.#bytes -= message.size;
    if (message.place === "scheduled") {
      this.#scheduledCount--;
      this.#scheduled.noteStale();
    }
    message.discard();
    this.log.noteDiscarded();
    this.#journal?.removed(this.#id, message.sequence);
    if (!session) return;
    session.messages--;
    this.#sessions?.reconsider(session);
  }

  /** Gives a message other sections. */
  replace(message: QueuedMessage, bare: Buffer): void {
    this.#bytes += bare.length - message.size;
    message.bare = bare;
  }

  /** The next ready message that has expired, taken. */
  takeExpired(now: number): QueuedMessage | undefined {
    const message = this.#expiring.takeDue(now);
    if (message) this.withdraw(message);
    return message;
  }

  /** The next scheduled message whose time has come. */
  nextScheduled(now: number): QueuedMessage | undefined {
    return this.#scheduled.takeDue(now);
  }

  sessionOf(message: QueuedMessage): Session | undefined {
    return message.sessionId === undefined ? undefined : this.#sessions?.open(message.sessionId);
  }

  #readyOf(message: QueuedMessage): ReadyQueue {
    return this.sessionOf(message)?.ready ?? this.#ready;
  }

  #watchExpiry(message: QueuedMessage): void {
    if (message.expiresAt !== Number.POSITIVE_INFINITY) this.#expiring.add(message);
  }

  #leaveReady(message: QueuedMessage): void {
    message.place = "locked";
    if (message.expiresAt !== Number.POSITIVE_INFINITY) this.#expiring.noteStale();
  }
}
