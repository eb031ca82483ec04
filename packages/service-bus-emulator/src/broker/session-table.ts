import { BrokerError } from "./broker-error.js";
import type { Receiver, ReceiverOptions, SessionRequest } from "./contracts.js";
import { errors } from "./errors.js";
import { QueueReceiver, type ReceiverQueue } from "./queue-receiver.js";
import { Session } from "./session.js";
import type { Timer, Timers } from "./timers.js";

/** What the sessions ask of their queue. */
export interface SessionQueue extends ReceiverQueue {
  readonly path: string;
  readonly lockDuration: number;
  /** Something may have to be done at this time. */
  wakeAt(time: number): void;
}

interface Waiting {
  readonly options: ReceiverOptions;
  readonly resolve: (receiver: Receiver) => void;
  readonly reject: (error: BrokerError) => void;
  timer: Timer | undefined;
}

/** The sessions of a queue: which are there, who holds which, who waits for one. */
export class SessionTable {
  readonly #queue: SessionQueue;
  readonly #timers: Timers;
  readonly #sessions = new Map<string, Session>();
  /** In the order in which they became available. */
  readonly #available = new Set<Session>();
  readonly #held = new Set<Session>();
  /** First come, first served. */
  readonly #waiting = new Set<Waiting>();

  constructor(queue: SessionQueue, timers: Timers) {
    this.#queue = queue;
    this.#timers = timers;
  }

  /** The session, made when it is not there yet. */
  open(id: string): Session {
    let session = this.#sessions.get(id);
    if (!session) {
      session = new Session(id);
      this.#sessions.set(id, session);
    }
    return session;
  }

  find(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  values(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** @throws BrokerError "com.microsoft:session-lock-lost" when nobody holds it. */
  requireHeld(id: string): Session {
    const session = this.#sessions.get(id);
    if (!session?.holder) throw errors.sessionLockLost(id);
    return session;
  }

  request(options: ReceiverOptions & { readonly sessionId: string | undefined; readonly timeoutMilliseconds: number }): SessionRequest {
    let granted: Receiver | undefined;
    let cancelled = false;
    let entry: Waiting | undefined;
    const receiver = new Promise<Receiver>((resolve, reject) => {
      const grant = (to: Receiver): void => {
        granted = to;
        if (cancelled) to.close();
        resolve(to);
      };
      entry = this.#grantOrWait(options, grant, reject);
    });
    const cancel = (): void => {
      cancelled = true;
      if (granted) {
        granted.close();
        return;
      }
      if (!entry || !this.#waiting.delete(entry)) return;
      entry.timer?.cancel();
      entry.reject(new BrokerError("amqp:link:detach-forced", "The receiver went away before a session was available."));
    };
    return { receiver, cancel };
  }

  /** Messages, holder or state of the session changed: offers it to who waits, or forgets it. */
  reconsider(session: Session): void {
    if (session.isAvailable) {
      this.#available.add(session);
      this.#serveWaiting();
      return;
    }
    this.#available.delete(session);
    if (session.isEmpty) this.#sessions.delete(session.id);
  }

  /** Messages were put into sessions without a word. */
  reconsiderAll(): void {
    for (const session of [...this.#sessions.values()]) this.reconsider(session);
  }

  /** Sets a session's state without asking who holds it. */
  setState(id: string, state: Buffer | undefined, at: number): void {
    const session = this.open(id);
    session.state = state;
    session.stateSetAt = at;
    this.reconsider(session);
  }

  renew(session: Session): number {
    session.lockedUntil = this.#timers.now() + this.#queue.lockDuration;
    this.#queue.wakeAt(session.lockedUntil);
    return session.lockedUntil;
  }

  /** The holder lets go, or lost it. */
  release(session: Session): void {
    this.#held.delete(session);
    session.holder = undefined;
    session.lockedUntil = 0;
    this.reconsider(session);
  }

  get nextDue(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const session of this.#held) due = Math.min(due, session.lockedUntil);
    return due;
  }

  /** Held sessions whose lock has ended. */
  due(now: number): Session[] {
    return [...this.#held].filter((session) => session.lockedUntil <= now);
  }

  held(): Session[] {
    return [...this.#held];
  }

  /** The queue is gone: whoever waits is told. */
  end(error: BrokerError): void {
    for (const entry of this.#waiting) {
      entry.timer?.cancel();
      entry.reject(error);
    }
    this.#waiting.clear();
  }

  #grantOrWait(
    options: ReceiverOptions & { readonly sessionId: string | undefined; readonly timeoutMilliseconds: number },
    resolve: (receiver: Receiver) => void,
    reject: (error: BrokerError) => void,
  ): Waiting | undefined {
    if (options.sessionId !== undefined) {
      const session = this.open(options.sessionId);
      if (session.holder) reject(errors.sessionTaken(options.sessionId));
      else resolve(this.#hold(session, options));
      return undefined;
    }
    const entry: Waiting = { options, resolve, reject, timer: undefined };
    this.#waiting.add(entry);
    this.#serveWaiting();
    if (!this.#waiting.has(entry)) return undefined;
    entry.timer = this.#timers.at(this.#timers.now() + options.timeoutMilliseconds, () => {
      this.#waiting.delete(entry);
      reject(errors.timeout());
    });
    return entry;
  }

  #serveWaiting(): void {
    for (const entry of this.#waiting) {
      const [session] = this.#available;
      if (!session) return;
      this.#waiting.delete(entry);
      entry.timer?.cancel();
      entry.resolve(this.#hold(session, entry.options));
    }
  }

  #hold(session: Session, options: ReceiverOptions): Receiver {
    this.#available.delete(session);
    this.#held.add(session);
    const receiver = new QueueReceiver(this.#queue, options, session);
    session.holder = receiver;
    this.renew(session);
    return receiver;
  }
}
