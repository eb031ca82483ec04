import type { Logger } from "../contracts/logger.js";
import { Abandoned } from "../pipeline/control.js";
import { describeError } from "../retry/describe-error.js";
import { backoffWithHalfJitter } from "../util/backoff.js";
import { delay } from "../util/delay.js";
import type { Turns } from "./turns.js";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/**
 * Trouble of the bus itself (the store is down, the broker takes no retry) is never the message's failure: the step is
 * repeated, the endpoint pauses, `health()` says why.
 */
export class Trouble {
  readonly #endpoint: string;
  readonly #turns: Turns;
  readonly #logger: Logger;
  readonly #abandon: AbortSignal;
  readonly #reasons: Map<object, string> = new Map();

  /** @param abandon ends all waiting: the process is about to leave */
  constructor(endpoint: string, turns: Turns, logger: Logger, abandon: AbortSignal) {
    this.#endpoint = endpoint;
    this.#turns = turns;
    this.#logger = logger;
    this.#abandon = abandon;
  }

  /** What is in the way at the moment, for `health()`. */
  get reason(): string | undefined {
    for (const reason of this.#reasons.values()) return reason;
    return undefined;
  }

  /**
   * Repeats `operation`, which has failed with `error` already, until it succeeds.
   * @throws Abandoned when the bus stops meanwhile, or `giveUp` says that repeating is of no use any more
   */
  async until<T>(what: string, error: unknown, operation: () => Promise<T>, giveUp?: () => boolean): Promise<T> {
    const token = {};
    this.#enter(token, what, error);
    try {
      for (let attempt = 0; ; attempt++) {
        await delay(backoffWithHalfJitter(attempt, FIRST_PAUSE_MS, LONGEST_PAUSE_MS), this.#abandon);
        if (this.#abandon.aborted || giveUp?.()) throw new Abandoned();
        try {
          return await operation();
        } catch (next) {
          if (next instanceof Abandoned) throw next;
          this.#reasons.set(token, reasonOf(what, next));
        }
      }
    } finally {
      this.#leave(token);
    }
  }

  #enter(token: object, what: string, error: unknown): void {
    const reason = reasonOf(what, error);
    if (this.#reasons.size === 0) this.#logger.warn(`Endpoint "${this.#endpoint}" pauses: ${reason}. Nothing is lost; it is tried again.`);
    this.#reasons.set(token, reason);
    this.#turns.pause();
  }

  #leave(token: object): void {
    this.#reasons.delete(token);
    if (this.#reasons.size === 0) this.#logger.info(`Endpoint "${this.#endpoint}" goes on.`);
    this.#turns.resume();
  }
}

function reasonOf(what: string, error: unknown): string {
  return `${what}: ${describeError(error).message}`;
}
