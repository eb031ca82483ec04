import { Agenda } from "./agenda.js";
import type { BrokerContext } from "./broker-context.js";
import type {
  BrokerError,
  Delivery,
  Outcome,
  Receivable,
  ReceiveMode,
  Receiver,
  ReceiverOptions,
  SessionRequest,
  StoredMessage,
} from "./contracts.js";
import { errors } from "./errors.js";
import { type Lock, LockTable, newToken } from "./lock-table.js";
import { MessageLog } from "./message-log.js";
import { type PropertyChanges, withApplicationProperties } from "./message-sections.js";
import { QueueReceiver } from "./queue-receiver.js";
import { type MessageContent, QueuedMessage } from "./queued-message.js";
import { ReadyQueue } from "./ready-queue.js";
import type { Session } from "./session.js";
import { type SessionQueue, SessionTable } from "./session-table.js";
import type { Timer } from "./timers.js";

/** The largest time to live that fits the header's 32 bits. */
const LONGEST_HEADER_TTL = 0xffff_ffff;

/** Why a message left its queue without being consumed. */
export type UndeliverableReason =
  | { readonly kind: "expired" }
  | { readonly kind: "max-delivery-count" }
  | { readonly kind: "client"; readonly reason: string | undefined; readonly description: string | undefined };

/** How a message entered a queue. */
export interface Origin {
  /** The number that it got where it first entered the namespace; its own when left out. */
  readonly enqueuedSequence?: number;
  readonly deliveryCount?: number;
  /** Scheduled for the time in the content. */
  readonly scheduled?: boolean;
}

/** Who a queue is. */
export interface QueueIdentity {
  readonly id: number;
  readonly path: string;
  readonly requiresSession: boolean;
}

/**
 * One queue of messages: of a queue, a subscription, or the dead letters of one. What is different between them is abstract here; the
 * answers may change when the entity is updated.
 */
export abstract class MessageQueue implements Receivable, SessionQueue {
  readonly id: number;
  readonly path: string;
  abstract readonly kind: Receivable["kind"];
  readonly log: MessageLog = new MessageLog();
  readonly locks: LockTable = new LockTable();
  protected readonly context: BrokerContext;
  readonly sessions: SessionTable | undefined;
  readonly #ready = new ReadyQueue();
  readonly #receivers = new Set<QueueReceiver>();
  /** Receivers with credit, in the order in which they are served. */
  readonly #hungry = new Set<QueueReceiver>();
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
  #wake: Timer | undefined;
  #serving = false;
  #ended = false;

  constructor(identity: QueueIdentity, context: BrokerContext) {
    this.id = identity.id;
    this.path = identity.path;
    this.context = context;
    this.sessions = identity.requiresSession ? new SessionTable(this, context.timers) : undefined;
  }

  abstract get lockDuration(): number;
  /** Infinite for a dead-letter queue. */
  protected abstract get maxDeliveryCount(): number;
  /** The cap of a message's time to live, milliseconds; infinite when there is none. */
  protected abstract get defaultTimeToLive(): number;
  /** Whether messages expire here at all: not in a dead-letter queue. */
  protected abstract get expires(): boolean;
  abstract get maxMessageSize(): number;
  /** Throws when nothing may be received from it now. */
  protected abstract assertReceivable(): void;
  /** The queue or topic that messages go on to at once; `undefined`: they stay. */
  protected abstract get forwardTarget(): string | undefined;
  /** Sends a message on, or does what is to be done when that fails. Whether the message is elsewhere now. */
  protected abstract forward(message: QueuedMessage, target: string): boolean;
  /** Takes care of a message that leaves the queue without being consumed. */
  protected abstract undeliverable(message: QueuedMessage, reason: UndeliverableReason): void;
  /** A scheduled message's time has come; it leaves the queue. */
  protected abstract activate(message: QueuedMessage): void;
  /** Something used the entity: it is not idle. */
  abstract touch(): void;

  get requiresSession(): boolean {
    return this.sessions !== undefined;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The last sequence number given. */
  get lastSequence(): number {
    return this.#sequence;
  }

  get scheduledCount(): number {
    return this.#scheduledCount;
  }

  /** Messages that are not scheduled. */
  get activeCount(): number {
    return this.log.size - this.#scheduledCount;
  }

  /** Takes a message; its sequence number. */
  enqueue(content: MessageContent, origin: Origin = {}): number {
    const sequence = ++this.#sequence;
    const timeToLive = Math.min(content.timeToLive ?? Number.POSITIVE_INFINITY, this.defaultTimeToLive);
    const message = new QueuedMessage(
      timeToLive === (content.timeToLive ?? Number.POSITIVE_INFINITY)
        ? content
        : { ...contentOf(content), timeToLive: Math.min(timeToLive, LONGEST_HEADER_TTL) },
      {
        sequence,
        enqueuedSequence: origin.enqueuedSequence ?? sequence,
        enqueuedTime: this.context.timers.now(),
        expires: this.expires,
      },
    );
    message.deliveryCount = origin.deliveryCount ?? 0;
    const target = this.forwardTarget;
    if (target !== undefined && !origin.scheduled && this.forward(message, target)) return sequence;
    this.#insert(message, origin.scheduled === true);
    this.context.journal?.added(this.id, message);
    if (!origin.scheduled) this.#serve(message);
    return sequence;
  }

  /** A message read from the data folder. */
  restore(message: QueuedMessage): void {
    this.#sequence = Math.max(this.#sequence, message.sequence);
    this.#insert(message, message.state === 2);
  }

  /** Uses up a sequence number for a message that does not stay here. */
  takeSequence(): number {
    return ++this.#sequence;
  }

  /** Numbers up to this one were given before. */
  continueFrom(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  openReceiver(options: ReceiverOptions): Receiver {
    this.#assertOpen();
    if (this.sessions) throw errors.sessionsRequired(this.path);
    const receiver = new QueueReceiver(this, options, undefined);
    this.#receivers.add(receiver);
    this.touch();
    return receiver;
  }

  openSession(options: ReceiverOptions & { readonly sessionId: string | undefined; readonly timeoutMilliseconds: number }): SessionRequest {
    this.#assertOpen();
    if (!this.sessions) throw errors.noSessions(this.path);
    this.touch();
    return this.sessions.request(options);
  }

  settle(lockToken: Buffer, outcome: Outcome): void {
    const lock = this.#lockOf(lockToken);
    const { message } = lock;
    this.touch();
    if (outcome.kind === "dead-letter" && this.isSubQueue) throw errors.deadLetterOfDeadLetter(this.path);
    this.locks.release(lock);
    switch (outcome.kind) {
      case "complete":
        return this.#remove(message);
      case "abandon":
        this.#modify(message, outcome.properties);
        return this.#giveBack(message, true, outcome.properties !== undefined);
      case "defer":
        this.#modify(message, outcome.properties);
        message.state = 1;
        message.place = "deferred";
        return this.context.journal?.changed(this.id, message, outcome.properties !== undefined);
      case "dead-letter":
        this.#modify(message, outcome.properties);
        return this.#hand(message, { kind: "client", reason: outcome.reason, description: outcome.description });
    }
  }

  renewLocks(lockTokens: readonly Buffer[]): number[] {
    const locks = lockTokens.map((token) => this.#lockOf(token));
    const until = this.context.timers.now() + this.lockDuration;
    this.touch();
    return locks.map((lock) => {
      if (lock.session) return lock.session.lockedUntil;
      this.locks.renew(lock, until);
      this.wakeAt(until);
      return until;
    });
  }

  peek(fromSequenceNumber: bigint, count: number, sessionId?: string): StoredMessage[] {
    this.touch();
    const found: StoredMessage[] = [];
    if (count <= 0) return found;
    for (const message of this.log.from(Number(fromSequenceNumber))) {
      if (sessionId !== undefined && message.sessionId !== sessionId) continue;
      found.push(message);
      if (found.length >= count) break;
    }
    return found;
  }

  receiveDeferred(sequenceNumbers: readonly bigint[], mode: ReceiveMode, sessionId?: string): Delivery[] {
    this.#assertOpen();
    this.touch();
    const messages = sequenceNumbers.map((number) => this.log.find(Number(number)));
    const session = sessionId === undefined ? undefined : this.sessions?.requireHeld(sessionId);
    const deferred = messages.filter(
      (message): message is QueuedMessage => message?.place === "deferred" && (!this.sessions || message.sessionId === sessionId),
    );
    if (deferred.length < messages.length || new Set(deferred).size < deferred.length) throw errors.messageNotFound(sequenceNumbers);
    return deferred.map((message) => (mode === "peek-lock" ? this.#lock(message, session) : this.#consume(message)));
  }

  deleteMessages(count: number, enqueuedBefore: number, sessionId?: string): number {
    let deleted = 0;
    for (const message of [...this.log.from(0)]) {
      if (deleted >= count) break;
      if (message.place !== "ready" || message.enqueuedTime >= enqueuedBefore) continue;
      if (sessionId !== undefined && message.sessionId !== sessionId) continue;
      this.#withdraw(message);
      this.#remove(message);
      deleted++;
    }
    if (deleted > 0) this.touch();
    return deleted;
  }

  renewSessionLock(sessionId: string): number {
    if (!this.sessions) throw errors.noSessions(this.path);
    this.touch();
    return this.sessions.renew(this.sessions.requireHeld(sessionId));
  }

  getSessionState(sessionId: string): Buffer | undefined {
    if (!this.sessions) throw errors.noSessions(this.path);
    return this.sessions.requireHeld(sessionId).state;
  }

  setSessionState(sessionId: string, state: Buffer | undefined): void {
    if (!this.sessions) throw errors.noSessions(this.path);
    const session = this.sessions.requireHeld(sessionId);
    this.touch();
    this.restoreSessionState(sessionId, state, this.context.timers.now());
    this.context.journal?.sessionStateSet(this.id, sessionId, state, session.stateSetAt);
  }

  /** Sets a session's state without asking who holds it. */
  restoreSessionState(sessionId: string, state: Buffer | undefined, at: number): void {
    const session = this.sessions?.open(sessionId);
    if (!session) return;
    session.state = state;
    session.stateSetAt = at;
    this.sessions?.reconsider(session);
  }

  listSessions(updatedAfter: number | undefined, skip: number, top: number): string[] {
    if (!this.sessions) throw errors.noSessions(this.path);
    const ids: string[] = [];
    for (const session of this.sessions.values()) {
      const listed = updatedAfter === undefined ? session.messages > 0 || session.state !== undefined : session.stateSetAt > updatedAfter;
      if (listed) ids.push(session.id);
    }
    return ids.sort().slice(skip, skip + top);
  }

  /** Takes back scheduled messages, all or none. */
  cancelScheduled(sequenceNumbers: readonly bigint[]): void {
    this.touch();
    const messages = sequenceNumbers.map((number) => this.log.find(Number(number)));
    const scheduled = messages.filter((message): message is QueuedMessage => message?.place === "scheduled");
    if (scheduled.length < messages.length || new Set(scheduled).size < scheduled.length) throw errors.messageNotFound(sequenceNumbers);
    for (const message of scheduled) {
      this.#scheduledCount--;
      this.#remove(message);
      this.#scheduled.noteStale();
    }
  }

  /** Hands on what is ready, after the entity began to forward. */
  forwardReady(): void {
    const target = this.forwardTarget;
    if (target === undefined) return;
    for (const message of [...this.log.from(0)]) {
      if (message.place !== "ready" || !this.forward(message, target)) continue;
      this.#withdraw(message);
      this.#remove(message);
    }
  }

  /** Every lock ends now: those of messages and those of sessions. */
  expireLocks(): void {
    this.#endLocks([...this.locks].filter((lock) => !lock.session));
    for (const session of this.sessions?.held() ?? []) this.#loseSession(session);
  }

  /** Receivers are told; nothing more is delivered from here. */
  end(error: BrokerError): void {
    this.#ended = true;
    this.#wake?.cancel();
    this.detachReceivers(error);
  }

  /** Ends all receivers; the queue goes on. */
  detachReceivers(error: BrokerError): void {
    this.sessions?.end(error);
    for (const session of this.sessions?.held() ?? []) {
      session.holder?.end(error);
      this.#releaseSession(session, false);
    }
    for (const receiver of this.#receivers) receiver.end(error);
    this.#receivers.clear();
    this.#hungry.clear();
  }

  /** Whether a receiver is attached. */
  get hasReceivers(): boolean {
    return this.#receivers.size > 0 || (this.sessions?.held().length ?? 0) > 0;
  }

  /** Whether messages go on to another entity at once. */
  get forwards(): boolean {
    return this.forwardTarget !== undefined;
  }

  get isSubQueue(): boolean {
    return this.kind === "dead-letter-queue" || this.kind === "transfer-dead-letter-queue";
  }

  feed(receiver: QueueReceiver): void {
    if (receiver.credit > 0 && !receiver.session) this.#hungry.add(receiver);
    else this.#hungry.delete(receiver);
    if (receiver.session) this.#serveSession(receiver.session);
    else this.#serveReceivers();
  }

  dismiss(receiver: QueueReceiver): void {
    this.#receivers.delete(receiver);
    this.#hungry.delete(receiver);
    if (receiver.session?.holder === receiver) this.#releaseSession(receiver.session, false);
  }

  wakeAt(time: number): void {
    if (time === Number.POSITIVE_INFINITY || this.#ended || (this.#wake && this.#wake.at <= time)) return;
    this.#wake?.cancel();
    this.#wake = this.context.timers.at(time, () => this.#tick());
  }

  #assertOpen(): void {
    if (this.#ended) throw errors.notFound(this.path);
    this.assertReceivable();
  }

  #lockOf(token: Buffer): Lock {
    const lock = this.locks.find(token);
    if (lock) return lock;
    throw this.sessions ? errors.sessionLockLost(undefined) : errors.messageLockLost();
  }

  #insert(message: QueuedMessage, scheduled: boolean): void {
    this.log.append(message);
    this.#bytes += message.size;
    const session = this.#sessionOf(message);
    if (session) session.messages++;
    if (scheduled) {
      message.place = "scheduled";
      message.state = 2;
      this.#scheduledCount++;
      this.#scheduled.add(message);
      return this.wakeAt(message.scheduledEnqueueTime ?? 0);
    }
    if (message.state === 1) {
      message.place = "deferred";
      return;
    }
    (session?.ready ?? this.#ready).push(message);
    this.#watchExpiry(message);
  }

  #watchExpiry(message: QueuedMessage): void {
    if (message.expiresAt === Number.POSITIVE_INFINITY) return;
    this.#expiring.add(message);
    this.wakeAt(message.expiresAt);
  }

  #sessionOf(message: QueuedMessage): Session | undefined {
    return message.sessionId === undefined ? undefined : this.sessions?.open(message.sessionId);
  }

  /** A message became ready: whoever waits for it gets it. */
  #serve(message: QueuedMessage): void {
    const session = this.#sessionOf(message);
    if (!session) return this.#serveReceivers();
    if (session.holder) this.#serveSession(session);
    else this.sessions?.reconsider(session);
  }

  #serveReceivers(): void {
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (const receiver of this.#hungry) {
        const message = receiver.credit > 0 ? this.#takeReady(this.#ready) : undefined;
        if (!message) break;
        this.#hungry.delete(receiver);
        receiver.deliver(receiver.mode === "peek-lock" ? this.#lock(message, undefined) : this.#consume(message));
        if (receiver.credit > 0) this.#hungry.add(receiver);
      }
    } finally {
      this.#serving = false;
    }
  }

  #serveSession(session: Session): void {
    for (let receiver = session.holder; receiver && receiver.credit > 0 && receiver === session.holder; ) {
      const message = this.#takeReady(session.ready);
      if (!message) return;
      receiver.deliver(receiver.mode === "peek-lock" ? this.#lock(message, session) : this.#consume(message));
    }
  }

  /** The next message that has not expired. */
  #takeReady(queue: ReadyQueue): QueuedMessage | undefined {
    for (let message = queue.take(); message; message = queue.take()) {
      this.#noteNotReady(message);
      if (message.expiresAt > this.context.timers.now()) return message;
      this.#hand(message, { kind: "expired" });
    }
    return undefined;
  }

  #noteNotReady(message: QueuedMessage): void {
    message.place = "locked";
    if (message.expiresAt !== Number.POSITIVE_INFINITY) this.#expiring.noteStale();
  }

  /** Takes a ready message out of its turn. */
  #withdraw(message: QueuedMessage): void {
    this.#noteNotReady(message);
    (this.#sessionOf(message)?.ready ?? this.#ready).noteLeft();
  }

  #lock(message: QueuedMessage, session: Session | undefined): Delivery {
    const until = session ? session.lockedUntil : this.context.timers.now() + this.lockDuration;
    const lock = this.locks.take(message, until, session);
    if (!session) this.wakeAt(until);
    return { message, lockToken: lock.token, lockedUntil: until };
  }

  /** A delivery that is settled as it is made. What is handed over is a copy, since the queue lets go of the body. */
  #consume(message: QueuedMessage): Delivery {
    const copy = message.copy();
    this.#remove(message);
    return { message: copy, lockToken: newToken(), lockedUntil: undefined };
  }

  #remove(message: QueuedMessage): void {
    const session = this.#sessionOf(message);
    this.#bytes -= message.size;
    message.discard();
    this.log.noteDiscarded();
    this.context.journal?.removed(this.id, message.sequence);
    if (!session) return;
    session.messages--;
    this.sessions?.reconsider(session);
  }

  /** Takes a message out of the queue and gives it to the entity, which dead-letters or drops it. */
  #hand(message: QueuedMessage, reason: UndeliverableReason): void {
    this.undeliverable(message, reason);
    this.#remove(message);
  }

  #modify(message: QueuedMessage, properties: PropertyChanges | undefined): void {
    if (!properties || properties.size === 0) return;
    this.#bytes -= message.size;
    message.bare = withApplicationProperties(message.bare, properties);
    this.#bytes += message.size;
  }

  /** A message that was locked can be received again, unless it was tried too often or has expired. */
  #giveBack(message: QueuedMessage, counted: boolean, bareChanged: boolean): void {
    if (counted) message.deliveryCount++;
    if (message.deliveryCount >= this.maxDeliveryCount) return this.#hand(message, { kind: "max-delivery-count" });
    if (counted || bareChanged) this.context.journal?.changed(this.id, message, bareChanged);
    if (message.state === 1) {
      message.place = "deferred";
      return;
    }
    if (message.expiresAt <= this.context.timers.now()) return this.#hand(message, { kind: "expired" });
    const target = this.forwardTarget;
    if (target !== undefined && this.forward(message, target)) return this.#remove(message);
    (this.#sessionOf(message)?.ready ?? this.#ready).putBack(message);
    this.#watchExpiry(message);
    this.#serve(message);
  }

  #endLocks(locks: readonly Lock[]): void {
    for (const lock of locks) this.locks.release(lock);
    for (const { message } of locks) this.#giveBack(message, true, false);
  }

  #loseSession(session: Session): void {
    session.holder?.end(errors.sessionLockLost(session.id));
    this.#releaseSession(session, true);
  }

  /** The holder, who is gone, stays entered until everything is back: so nobody gets the session with half of its messages. */
  #releaseSession(session: Session, counted: boolean): void {
    const locks = [...this.locks].filter((lock) => lock.session === session);
    for (const lock of locks) this.locks.release(lock);
    for (const { message } of locks) this.#giveBack(message, counted, false);
    this.sessions?.release(session);
  }

  #tick(): void {
    this.#wake = undefined;
    const now = this.context.timers.now();
    this.#endLocks(this.sessions ? [] : this.locks.due(now));
    for (const session of this.sessions?.due(now) ?? []) this.#loseSession(session);
    for (let message = this.#expiring.takeDue(now); message; message = this.#expiring.takeDue(now)) {
      this.#withdraw(message);
      this.#hand(message, { kind: "expired" });
    }
    for (let message = this.#scheduled.takeDue(now); message; message = this.#scheduled.takeDue(now)) {
      this.#scheduledCount--;
      this.activate(message);
      this.#remove(message);
    }
    this.wakeAt(Math.min(this.sessions ? this.sessions.nextDue : this.locks.nextDue, this.#expiring.nextDue, this.#scheduled.nextDue));
  }
}

/** The content of a message without its place in a queue. */
export function contentOf(message: MessageContent): MessageContent {
  return {
    durable: message.durable,
    priority: message.priority,
    timeToLive: message.timeToLive,
    annotations: message.annotations,
    bare: message.bare,
    sessionId: message.sessionId,
    deadLetterSource: message.deadLetterSource,
    scheduledEnqueueTime: message.scheduledEnqueueTime,
    hops: message.hops,
  };
}
