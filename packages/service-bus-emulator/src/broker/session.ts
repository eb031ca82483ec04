import type { Lock } from "./lock-table.js";
import type { QueueReceiver } from "./queue-receiver.js";
import { ReadyQueue } from "./ready-queue.js";

/** One session of a queue: its messages that may be delivered, who holds it, its state. */
export class Session {
  readonly id: string;
  readonly ready: ReadyQueue = new ReadyQueue();
  holder: QueueReceiver | undefined;
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
