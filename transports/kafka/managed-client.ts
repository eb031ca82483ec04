import { setMaxListeners } from "node:events";
import type { Logger } from "../../src/contracts/logger.js";
import { abandon } from "../../src/util/abandon.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { settledBy, within } from "../../src/util/time-limit.js";
import { connectError } from "./connect-error.js";
import { DriverError } from "./driver.js";
import { KafkaError, textOf, unavailable } from "./errors.js";

/** A producer or an admin of the driver. */
export interface Client {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  cut(): void;
}

export interface ManagedClientSettings {
  /** For the log: "producer", "admin". */
  readonly part: string;
  readonly brokers: readonly string[];
  /** One try to connect takes no longer, handshake and authentication included. */
  readonly connectTimeoutMs: number;
  /** One that is replaced may take so long for what it still does. */
  readonly drainMs: number;
}

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** One that lived shorter counts as a failed try, so that one that fails as soon as it is made does not make a hot loop. */
const STEADY_AFTER_MS = 5_000;

/** One client that is made anew, for ever, with backoff and jitter, when it is said to be broken. */
export class ManagedClient<T extends Client> {
  readonly #make: () => T;
  readonly #settings: ManagedClientSettings;
  readonly #logger: Logger;
  readonly #changed: (downReason: string | undefined) => void;
  readonly #closing = new AbortController();
  #current: T | undefined;
  #madeAt = 0;
  #failedTries = 0;
  #down = "not connected yet";
  #replacing: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  readonly #old = new Set<Promise<void>>();

  /** @param changed told `undefined` when there is one again, else why there is none */
  constructor(make: () => T, settings: ManagedClientSettings, logger: Logger, changed: (downReason: string | undefined) => void) {
    this.#make = make;
    this.#settings = settings;
    this.#logger = logger;
    this.#changed = changed;
    setMaxListeners(0, this.#closing.signal);
  }

  /** `undefined` while no broker can be reached. */
  get current(): T | undefined {
    return this.#current;
  }

  /** Why there is none. */
  get downReason(): string {
    return this.#down;
  }

  /** Aborts when it begins to close for good. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Connects. Rejects with what cannot pass by itself; what can is tried until `signal` aborts.
   * @throws KafkaError "configuration", or "unavailable" after `signal`.
   */
  async open(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    let last: KafkaError | undefined;
    for (let attempt = 0; !stop.aborted; attempt++) {
      const result = await this.#connect(stop);
      if (!(result instanceof KafkaError)) return this.#take(result);
      // A try that was cut off in the middle tells less than the one before.
      if (!stop.aborted || !last) last = result;
      if (!last.retryable) throw last;
      this.#down = last.message;
      this.#logger.warn(`${last.message} It is tried again.`, { part: this.#settings.part });
      await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), stop);
    }
    throw last ?? unavailable("The bus was stopped before it had connected to Kafka.");
  }

  /** Waits for one. @throws KafkaError "unavailable" after `ms` milliseconds, or when it is closed for good first */
  async whenUp(ms: number): Promise<T> {
    const until = performance.now() + ms;
    while (!this.#current) {
      const left = until - performance.now();
      if (this.#closing.signal.aborted) throw unavailable("The connection to Kafka is closed.");
      if (left <= 0) throw unavailable(`Kafka cannot be reached: ${this.#down}`);
      await settledBy(performance.now() + left, new Promise<void>((resolve) => this.#waiting.push(resolve)));
    }
    return this.#current;
  }

  /** Has a new one made in place of `broken`, which goes on with what it does; nothing when that was done already. */
  replace(broken: T, reason: string): void {
    if (broken !== this.#current || this.#replacing || this.#closing.signal.aborted) return;
    this.#logger.debug(`The Kafka ${this.#settings.part} is made anew: ${reason}`);
    this.#replacing = this.#replace(broken, reason).finally(() => {
      this.#replacing = undefined;
    });
  }

  /** Closes for good; cuts off what has not closed by `deadline` (a `performance.now()` time). Never rejects. */
  async close(deadline: number): Promise<void> {
    this.#closing.abort();
    const current = this.#current;
    this.#current = undefined;
    this.#down = "closed";
    this.#tellWaiting();
    if (current) {
      await settledBy(deadline, current.disconnect());
      current.cut();
    }
    await settledBy(deadline, Promise.all([this.#replacing, ...this.#old]));
  }

  async #replace(broken: T, reason: string): Promise<void> {
    if (performance.now() - this.#madeAt >= STEADY_AFTER_MS) this.#failedTries = 0;
    else this.#failedTries++;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (this.#failedTries > 0) await delay(backoffWithHalfJitter(this.#failedTries - 1, FIRST_WAIT_MS, LONGEST_WAIT_MS), signal);
      if (signal.aborted) return;
      const result = await this.#connect(signal);
      if (!(result instanceof KafkaError)) {
        if (!this.#current) this.#logger.info("The connection to Kafka is back.", { part: this.#settings.part });
        this.#letGo(broken);
        return this.#take(result);
      }
      this.#failedTries++;
      if (signal.aborted) return;
      // Only now: while others of its brokers answer, the broken one still serves what they lead.
      if (this.#current) this.#logger.warn(`The connection to Kafka is lost: ${reason}. It is made anew.`, { part: this.#settings.part });
      this.#current = undefined;
      this.#down = result.message;
      // What cannot pass by itself is told each time: credentials may be rotated by somebody who reads it.
      this.#logger.warn(`${result.message} It is tried again.`, { part: this.#settings.part });
      this.#changed(this.#down);
    }
  }

  async #connect(signal: AbortSignal): Promise<T | KafkaError> {
    const { connectTimeoutMs, brokers } = this.#settings;
    const client = this.#make();
    const cut = (): void => client.cut();
    signal.addEventListener("abort", cut, { once: true });
    try {
      const inTime = (): Error => new DriverError("timeout", `no answer within ${Math.round(connectTimeoutMs)} ms`);
      await within(connectTimeoutMs, client.connect(), inTime);
      if (!signal.aborted) return client;
      abandon(client.disconnect());
      return unavailable("The connection to Kafka was closed before it was open.");
    } catch (error) {
      client.cut();
      abandon(client.disconnect());
      if (!signal.aborted) return await connectError(error, brokers);
      return unavailable(`Kafka at ${brokers.join(", ")} had not answered when the time was up: ${textOf(error)}.`, error);
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }

  #take(client: T): void {
    this.#current = client;
    this.#madeAt = performance.now();
    this.#tellWaiting();
    this.#changed(undefined);
  }

  #letGo(client: T): void {
    const gone = settledBy(performance.now() + this.#settings.drainMs, client.disconnect()).then(() => {
      client.cut();
      this.#old.delete(gone);
    });
    this.#old.add(gone);
  }

  #tellWaiting(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
