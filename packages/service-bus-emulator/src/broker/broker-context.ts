import type { Journal } from "./journal.js";
import type { MessageContent } from "./queued-message.js";
import type { Timers } from "./timers.js";

/** What all entities of a namespace share. */
export interface BrokerContext {
  readonly timers: Timers;
  /** `undefined`: everything is in memory only. */
  readonly journal: Journal | undefined;
  readonly faults: Faults;
  /**
   * Gives a forwarded message to the queue or topic of that name.
   * @throws BrokerError when it does not exist or does not take the message.
   */
  forward(target: string, content: MessageContent, enqueuedSequence: number): void;
  /** The entity was not used for as long as its AutoDeleteOnIdle says. */
  deleteIdle(path: string): void;
}

/** What goes wrong because a test wants it. */
export interface Faults {
  /** Sends are refused with "com.microsoft:server-busy" until then; epoch milliseconds. */
  throttledUntil: number;
}
