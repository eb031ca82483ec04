import type { BrokerContext } from "./broker-context.js";
import type { BrokerError } from "./broker-error.js";
import { CompetingReceivers } from "./competing-receivers.js";
import type { Delivery } from "./contracts.js";
import { errors } from "./errors.js";
import { newToken } from "./lock-table.js";
import { MessageStore } from "./message-store.js";
import type { QueueReceiver } from "./queue-receiver.js";
import { contentOf, type MessageContent, QueuedMessage } from "./queued-message.js";
import type { Lock, Session, SessionHolder } from "./session.js";
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
  readonly enqueuedSequence?: number | undefined;
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
 * What brings messages from senders to receivers: takes them in, delivers them under locks, takes back what was not settled, lets go of what
 * expired. What differs between kinds of queues is abstract here; the answers may change when an entity is updated.
 */
export abstract class DeliveringQueue implements SessionQueue {
  readonly id: number;
  readonly path: string;
  readonly sessions: SessionTable | undefined;
  readonly store: MessageStore;
  protected readonly context: BrokerContext;
  readonly #competing = new CompetingReceivers((receiver) => this.#deliverNext(receiver, undefined));
  #wake: Timer | undefined;
  #ended = false;

  constructor(identity: QueueIdentity, context: BrokerContext) {
    this.id = identity.id;
    this.path = identity.path;
    this.context = context;
    this.sessions = identity.requiresSession ? new SessionTable(this, context.timers) : undefined;
    this.store = new MessageStore(identity.id, this.sessions, context.journal);
  }

  abstract get lockDuration(): number;
  /** Infinite for a dead-letter queue, where deliveries are not counted (the service's own tests for Go, TestMessageSettlementUsingReceiver). */
  protected abstract get maxDeliveryCount(): number;
  /** The cap of a message's time to live, milliseconds; infinite when there is none. */
  protected abstract get defaultTimeToLive(): number;
  /** Whether messages expire here at all: not in a dead-letter queue. */
  protected abstract get expires(): boolean;
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

  /** Messages that are not scheduled. */
  get activeCount(): number {
    return this.store.log.size - this.store.scheduledCount;
  }

  /** Whether a receiver is attached. */
  get hasReceivers(): boolean {
    return this.#competing.size > 0 || (this.sessions?.held().length ?? 0) > 0;
  }

  /** Whether messages go on to another entity at once. */
  get forwards(): boolean {
    return this.forwardTarget !== undefined;
  }

  /** Takes a message; its sequence number. */
  enqueue(content: MessageContent, origin: Origin = {}): number {
    const sequence = this.store.takeSequence();
    const message = new QueuedMessage(this.#capped(content), {
      sequence,
      enqueuedSequence: origin.enqueuedSequence ?? sequence,
      enqueuedTime: this.context.timers.now(),
      expires: this.expires,
    });
    message.deliveryCount = origin.deliveryCount ?? 0;
    if (origin.scheduled) message.state = 2;
    const target = this.forwardTarget;
    if (target !== undefined && !origin.scheduled && this.forward(message, target)) return sequence;
    this.restore(message);
    this.context.journal?.added(this.id, message);
    if (!origin.scheduled) this.#serve(message);
    return sequence;
  }

  /** Puts a message into the queue as it is: one of the data folder. */
  restore(message: QueuedMessage): void {
    this.store.continueFrom(message.sequence);
    this.store.insert(message);
    this.wakeAt(message.state === 2 ? (message.scheduledEnqueueTime ?? 0) : message.expiresAt);
  }

  /** Hands on what is ready, after the entity began to forward. */
  forwardReady(): void {
    const target = this.forwardTarget;
    if (target === undefined) return;
    for (const message of [...this.store.log.from(0)]) {
      if (message.place !== "ready" || !this.forward(message, target)) continue;
      this.store.withdraw(message);
      this.store.remove(message);
    }
  }

  /** Every lock ends now: those of messages and those of sessions. */
  expireLocks(): void {
    this.#endLocks([...this.store.locks].filter((lock) => !lock.session));
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
    this.#competing.end(error);
  }

  feed(receiver: QueueReceiver): void {
    if (receiver.session) this.#serveSession(receiver.session);
    else this.#competing.feed(receiver);
  }

  dismiss(receiver: QueueReceiver): void {
    this.#competing.dismiss(receiver);
    if (receiver.session?.holder === receiver) this.#releaseSession(receiver.session, false);
  }

  wakeAt(time: number): void {
    if (time === Number.POSITIVE_INFINITY || this.#ended || (this.#wake && this.#wake.at <= time)) return;
    this.#wake?.cancel();
    this.#wake = this.context.timers.at(time, () => this.#tick());
  }

  protected admit(receiver: QueueReceiver): void {
    this.#competing.admit(receiver);
  }

  protected assertOpen(): void {
    if (this.#ended) throw errors.notFound(this.path);
    this.assertReceivable();
  }

  protected lock(message: QueuedMessage, session: Session | undefined): Delivery {
    const until = session ? session.lockedUntil : this.context.timers.now() + this.lockDuration;
    const { token } = this.store.lock(message, until, session);
    if (!session) this.wakeAt(until);
    return { message, lockToken: token, lockedUntil: until };
  }

  /** A delivery that is settled as it is made. What is handed over is a copy, since the queue lets go of the body. */
  protected consume(message: QueuedMessage): Delivery {
    const copy = message.copy();
    this.store.remove(message);
    return { message: copy, lockToken: newToken(), lockedUntil: undefined };
  }

  /** Takes a message out of the queue and gives it to the entity, which dead-letters or drops it. */
  protected hand(message: QueuedMessage, reason: UndeliverableReason): void {
    this.undeliverable(message, reason);
    this.store.remove(message);
  }

  /** A message that was locked can be received again, unless it was tried too often or has expired. */
  protected giveBack(message: QueuedMessage, how: { readonly counted: boolean; readonly modified: boolean }): void {
    const counted = how.counted && this.maxDeliveryCount !== Number.POSITIVE_INFINITY;
    if (counted) message.deliveryCount++;
    if (message.deliveryCount >= this.maxDeliveryCount) {
      this.hand(message, { kind: "max-delivery-count" });
      return;
    }
    if (counted || how.modified) this.context.journal?.changed(this.id, message, how.modified);
    if (message.state === 1) message.place = "deferred";
    else if (message.expiresAt <= this.context.timers.now()) this.hand(message, { kind: "expired" });
    else this.#makeReady(message);
  }

  #makeReady(message: QueuedMessage): void {
    const target = this.forwardTarget;
    if (target !== undefined && this.forward(message, target)) {
      this.store.remove(message);
      return;
    }
    this.store.putBack(message);
    this.wakeAt(message.expiresAt);
    this.#serve(message);
  }

  #capped(content: MessageContent): MessageContent {
    const given = content.timeToLive ?? Number.POSITIVE_INFINITY;
    const cap = this.defaultTimeToLive;
    return given <= cap ? content : { ...contentOf(content), timeToLive: Math.min(cap, LONGEST_HEADER_TTL) };
  }

  /** A message became ready: whoever waits for it gets it. */
  #serve(message: QueuedMessage): void {
    const session = this.store.sessionOf(message);
    if (!session) this.#competing.serve();
    else if (session.holder) this.#serveSession(session);
    else this.sessions?.reconsider(session);
  }

  #serveSession(session: Session): void {
    const receiver = session.holder;
    while (receiver && receiver.credit > 0 && receiver === session.holder) if (!this.#deliverNext(receiver, session)) return;
  }

  /** Whether there was a message. */
  #deliverNext(receiver: SessionHolder, session: Session | undefined): boolean {
    const message = this.#takeReady(session);
    if (!message) return false;
    receiver.deliver(receiver.mode === "peek-lock" ? this.lock(message, session) : this.consume(message));
    return true;
  }

  /** The next message that has not expired. */
  #takeReady(session: Session | undefined): QueuedMessage | undefined {
    for (let message = this.store.take(session); message; message = this.store.take(session)) {
      if (message.expiresAt > this.context.timers.now()) return message;
      this.hand(message, { kind: "expired" });
    }
    return undefined;
  }

  #endLocks(locks: readonly Lock[], counted = true): void {
    for (const lock of locks) this.store.unlock(lock);
    for (const { message } of locks) this.giveBack(message, { counted, modified: false });
  }

  #loseSession(session: Session): void {
    session.holder?.end(errors.sessionLockLost(session.id));
    this.#releaseSession(session, true);
  }

  /** The holder, who is gone, stays entered until everything is back: so nobody gets the session with half of its messages. */
  #releaseSession(session: Session, counted: boolean): void {
    this.#endLocks([...session.locks], counted);
    this.sessions?.release(session);
  }

  #tick(): void {
    this.#wake = undefined;
    const { store } = this;
    const now = this.context.timers.now();
    if (!this.sessions) this.#endLocks(store.locks.due(now));
    for (const session of this.sessions?.due(now) ?? []) this.#loseSession(session);
    for (let message = store.takeExpired(now); message; message = store.takeExpired(now)) this.hand(message, { kind: "expired" });
    for (let message = store.nextScheduled(now); message; message = store.nextScheduled(now)) {
      this.activate(message);
      store.remove(message);
    }
    this.wakeAt(Math.min(this.sessions?.nextDue ?? Number.POSITIVE_INFINITY, store.nextDue));
  }
}
