import { MAX_DURATION } from "./descriptions.js";
import type { Timer, Timers } from "./timers.js";

/** Notices that an entity was not used for some time (AutoDeleteOnIdle). */
export class IdleWatch {
  readonly #timers: Timers;
  readonly #inUse: () => boolean;
  readonly #onIdle: () => void;
  #limit: number = MAX_DURATION;
  #usedAt: number;
  #wasUsed = false;
  #timer: Timer | undefined;

  /**
   * @param inUse whether something holds the entity although nothing happens: a receiver, a scheduled message.
   * @param onIdle called once when the limit is reached.
   */
  constructor(timers: Timers, inUse: () => boolean, onIdle: () => void) {
    this.#timers = timers;
    this.#inUse = inUse;
    this.#onIdle = onIdle;
    this.#usedAt = timers.now();
  }

  /** When it was last used, epoch milliseconds; undefined when it never was. */
  get usedAt(): number | undefined {
    return this.#wasUsed ? this.#usedAt : undefined;
  }

  touch(): void {
    this.#wasUsed = true;
    this.#usedAt = this.#timers.now();
  }

  /** @param milliseconds {@link MAX_DURATION}: never. */
  setLimit(milliseconds: number): void {
    this.stop();
    this.#limit = milliseconds;
    this.#usedAt = this.#timers.now();
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    if (this.#limit >= MAX_DURATION) return;
    this.#timer = this.#timers.at(this.#usedAt + this.#limit, () => this.#look());
  }

  #look(): void {
    if (this.#inUse()) this.#usedAt = this.#timers.now();
    if (this.#usedAt + this.#limit <= this.#timers.now()) this.#onIdle();
    else this.#arm();
  }
}
