import type { BrokerError } from "./broker-error.js";
import type { Delivery, ReceiveMode } from "./contracts.js";
import type { QueuedMessage } from "./queued-message.js";
import { ReadyQueue } from "./ready-queue.js";

/** A receiver's hold on a message. */
export interface Lock {
  /** 16 bytes: a random UUID. */
  readonly token: Buffer;
  readonly message: QueuedMessage;
  /** Epoch milliseconds; of no meaning in a session, whose lock covers its messages. */
  readonly until: number;
  readonly session: Session | undefined;
}

/** Whoever holds a session. */
export interface SessionHolder {
  readonly mode: ReceiveMode;
  readonly credit: number;
  deliver(delivery: Delivery): void;
  /** Ended by the broker. */
  end(error: BrokerError): void;
}

/** One session of a queue: its messages that may be delivered, who holds it, its state. */
export class Session {
  readonly id: string;
  readonly ready: ReadyQueue = new ReadyQueue();
  holder: SessionHolder | undefined;
  /** End of the holder's lock, epoch milliseconds. */
  lockedUntil = 0;
  state: Buffer | undefined;
  /** When `state` was set, epoch milliseconds; 0 when never. */
  stateSetAt = 0;
  /** What its holder has locked, in the order of delivery. */
  readonly locks: Set<Lock> = new Set();
  /** Its messages, in any place. */
  messages = 0;

  constructor(id: string) {
    this.id = id;
  }

  /** Whether nothing would be lost by forgetting it. */
  get isEmpty(): boolean {
    return this.messages === 0 && this.holder === undefined && this.state === undefined;
  }

  /** Whether a receiver that asks for any session may have it. */
  get isAvailable(): boolean {
    return this.holder === undefined && this.ready.size > 0;
  }
}
