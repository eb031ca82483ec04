import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { CopyStore } from "./copy-store.js";
import type { ServiceBusDelivery } from "./delivery.js";
import { textOf } from "./errors.js";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Moves messages that may have killed a process, unrun, to the queue where each is run alone. */
export class SuspectMover {
  readonly #copies: CopyStore;
  readonly #suspectQueue: string;
  readonly #moved: () => void;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  readonly #moving = new Set<Promise<void>>();

  /** @param moved called after each move */
  constructor(copies: CopyStore, suspectQueue: string, moved: () => void, logger: Logger) {
    this.#copies = copies;
    this.#suspectQueue = suspectQueue;
    this.#moved = moved;
    this.#logger = logger;
  }

  /** Holds the delivery until a copy is stored, however long that takes, then answers it. */
  move(delivery: ServiceBusDelivery): void {
    const moving = this.#move(delivery).finally(() => this.#moving.delete(moving));
    this.#moving.add(moving);
  }

  /** Begins no more tries. Resolves when none is on its way: what could not be moved is open still, for its receiver to give back. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#moving);
  }

  /** Never rejects. */
  async #move(delivery: ServiceBusDelivery): Promise<void> {
    const { messageId } = delivery.properties;
    for (let attempt = 0; !delivery.isLost && !this.#stopping.signal.aborted; attempt++) {
      try {
        await this.#copies.store(delivery.message, this.#suspectQueue, {}, { suffix: "s" });
        this.#logger.warn(`A message at "${delivery.source}" was held by processes that died. It will be run alone.`, { messageId });
        // The receiver did not wait for it any longer, and gave the message back: that comes again beside its copy.
        if (!delivery.isDecided) delivery.complete();
        this.#moved();
        return;
      } catch (error) {
        this.#logger.warn(`A message cannot be moved to "${this.#suspectQueue}": ${textOf(error)}. It is held and tried again.`, {
          messageId,
        });
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), delivery.lost, this.#stopping.signal);
      }
    }
  }
}
