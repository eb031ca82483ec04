import type { Delivery, Outcome, Receivable, ReceiveMode, Receiver, ReceiverOptions, SessionRequest, StoredMessage } from "./contracts.js";
import { DeliveringQueue } from "./delivering-queue.js";
import { errors } from "./errors.js";
import { type PropertyChanges, withApplicationProperties } from "./message-sections.js";
import { QueueReceiver } from "./queue-receiver.js";
import type { QueuedMessage } from "./queued-message.js";
import type { Lock } from "./session.js";
import type { SessionTable } from "./session-table.js";

/** A queue as its clients use it. */
export abstract class MessageQueue extends DeliveringQueue implements Receivable {
  abstract readonly kind: Receivable["kind"];
  abstract get maxMessageSize(): number;

  get requiresSession(): boolean {
    return this.sessions !== undefined;
  }

  openReceiver(options: ReceiverOptions): Receiver {
    this.assertOpen();
    if (this.sessions) throw errors.sessionsRequired(this.path);
    const receiver = new QueueReceiver(this, options, undefined);
    this.admit(receiver);
    this.touch();
    return receiver;
  }

  openSession(options: ReceiverOptions & { readonly sessionId: string | undefined; readonly timeoutMilliseconds: number }): SessionRequest {
    this.assertOpen();
    this.touch();
    return this.#sessionTable.request(options);
  }

  settle(lockToken: Buffer, outcome: Outcome): void {
    const lock = this.#lockOf(lockToken);
    const { message } = lock;
    this.touch();
    if (outcome.kind === "dead-letter" && this.kind.endsWith("dead-letter-queue")) throw errors.deadLetterOfDeadLetter(this.path);
    this.store.unlock(lock);
    if (outcome.kind === "complete") {
      this.store.remove(message);
      return;
    }
    if (outcome.kind === "release") {
      this.giveBack(message, { counted: false, modified: false });
      return;
    }
    const modified = this.#modify(message, outcome.properties);
    switch (outcome.kind) {
      case "abandon":
        this.giveBack(message, { counted: true, modified });
        break;
      case "defer":
        message.state = 1;
        message.place = "deferred";
        this.context.journal?.changed(this.id, message, modified);
        break;
      case "dead-letter":
        this.hand(message, { kind: "client", reason: outcome.reason, description: outcome.description });
    }
  }

  renewLocks(lockTokens: readonly Buffer[]): number[] {
    const locks = lockTokens.map((token) => this.#lockOf(token));
    const until = this.context.timers.now() + this.lockDuration;
    this.touch();
    return locks.map((lock) => {
      if (lock.session) return lock.session.lockedUntil;
      this.store.locks.renew(lock, until);
      this.wakeAt(until);
      return until;
    });
  }

  peek(fromSequenceNumber: bigint, count: number, sessionId?: string): StoredMessage[] {
    this.touch();
    const found: StoredMessage[] = [];
    if (count <= 0) return found;
    for (const message of this.store.log.from(Number(fromSequenceNumber))) {
      if (sessionId !== undefined && message.sessionId !== sessionId) continue;
      found.push(message);
      if (found.length >= count) break;
    }
    return found;
  }

  receiveDeferred(sequenceNumbers: readonly bigint[], mode: ReceiveMode, sessionId?: string): Delivery[] {
    this.assertOpen();
    this.touch();
    const session = sessionId === undefined ? undefined : this.sessions?.requireHeld(sessionId);
    const isMine = (message: QueuedMessage): boolean => message.place === "deferred" && (!this.sessions || message.sessionId === sessionId);
    const deferred = this.#findAll(sequenceNumbers, isMine);
    return deferred.map((message) => (mode === "peek-lock" ? this.lock(message, session) : this.consume(message)));
  }

  deleteMessages(count: number, enqueuedBefore: number, sessionId?: string): number {
    let deleted = 0;
    for (const message of [...this.store.log.from(0)]) {
      if (deleted >= count) break;
      if (message.place !== "ready" || message.enqueuedTime >= enqueuedBefore) continue;
      if (sessionId !== undefined && message.sessionId !== sessionId) continue;
      this.store.withdraw(message);
      this.store.remove(message);
      deleted++;
    }
    if (deleted > 0) this.touch();
    return deleted;
  }

  renewSessionLock(sessionId: string): number {
    this.touch();
    return this.#sessionTable.renew(this.#sessionTable.requireHeld(sessionId));
  }

  getSessionState(sessionId: string): Buffer | undefined {
    return this.#sessionTable.requireHeld(sessionId).state;
  }

  setSessionState(sessionId: string, state: Buffer | undefined): void {
    this.#sessionTable.requireHeld(sessionId);
    this.touch();
    const now = this.context.timers.now();
    this.#sessionTable.setState(sessionId, state, now);
    this.context.journal?.sessionStateSet(this.id, sessionId, state, now);
  }

  listSessions(updatedAfter: number | undefined, skip: number, top: number): string[] {
    const ids: string[] = [];
    for (const session of this.#sessionTable.values()) {
      const listed = updatedAfter === undefined ? session.messages > 0 || session.state !== undefined : session.stateSetAt > updatedAfter;
      if (listed) ids.push(session.id);
    }
    return ids.sort().slice(skip, skip + top);
  }

  /** Takes back scheduled messages, all or none. @throws BrokerError "com.microsoft:message-not-found" */
  cancelScheduled(sequenceNumbers: readonly bigint[]): void {
    this.touch();
    for (const message of this.#findAll(sequenceNumbers, ({ place }) => place === "scheduled")) this.store.remove(message);
  }

  get #sessionTable(): SessionTable {
    if (!this.sessions) throw errors.noSessions(this.path);
    return this.sessions;
  }

  #lockOf(token: Buffer): Lock {
    const lock = this.store.locks.find(token);
    if (lock) return lock;
    throw this.sessions ? errors.sessionLockLost(undefined) : errors.messageLockLost();
  }

  /** The messages of these numbers. @throws BrokerError when one of them is missing, named twice or not as wanted. */
  #findAll(sequenceNumbers: readonly bigint[], isWanted: (message: QueuedMessage) => boolean): QueuedMessage[] {
    const found = new Set<QueuedMessage>();
    for (const number of sequenceNumbers) {
      const message = this.store.log.find(Number(number));
      if (message && isWanted(message)) found.add(message);
    }
    if (found.size < sequenceNumbers.length) throw errors.messageNotFound(sequenceNumbers);
    return [...found];
  }

  /** Whether there was anything to change. */
  #modify(message: QueuedMessage, properties: PropertyChanges | undefined): boolean {
    if (!properties || properties.size === 0) return false;
    this.store.replace(message, withApplicationProperties(message.bare, properties));
    return true;
  }
}
