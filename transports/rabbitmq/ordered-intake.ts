import type { Logger } from "../../src/contracts/logger.js";
import type { DeliverySink } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import type { AloneRun, AloneRuns } from "./alone-runs.js";
import type { RabbitMqDelivery } from "./delivery.js";
import { textOf } from "./errors.js";
import { CRASHED_AFTER, identityOf, SUSPECT_AFTER } from "./suspicion.js";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** Asked for again and again: the wait for the turn ends with the delivery alone. */
const TURN_TIMEOUT_MS = 60_000;

/**
 * Hands deliveries of an ordered endpoint to the core in their order. A suspect stays in its place: what came before it ends first, it runs
 * alone, noted in the broker beforehand, and what comes after it waits here.
 */
export class OrderedIntake {
  readonly #sink: DeliverySink;
  readonly #runs: AloneRuns;
  readonly #logger: Logger;
  #waiting: { readonly delivery: RabbitMqDelivery; readonly isSuspect: boolean }[] = [];
  /** Handed to the core and not settled. */
  readonly #taken = new Set<RabbitMqDelivery>();
  #isHandingOut = false;
  #handingOut: Promise<void> | undefined;
  #isHeldUp = false;
  #waiters: (() => void)[] = [];

  constructor(sink: DeliverySink, runs: AloneRuns, logger: Logger) {
    this.#sink = sink;
    this.#runs = runs;
    this.#logger = logger;
  }

  /** @param unexplained how often the message was held by a process that died, as far as is known */
  take(delivery: RabbitMqDelivery, unexplained: number): void {
    const isSuspect = unexplained >= SUSPECT_AFTER;
    if (!isSuspect && this.#waiting.length === 0 && !this.#isHandingOut && !this.#isHeldUp) this.#hand(delivery);
    else {
      this.#waiting.push({ delivery, isSuspect });
      this.#handOut();
    }
  }

  /** Nothing more is handed to the core; what arrives waits. */
  holdUp(): void {
    this.#isHeldUp = true;
  }

  /** After {@link holdUp}. */
  goOn(): void {
    this.#isHeldUp = false;
    this.#handOut();
  }

  /** A delivery was settled, or given back by the core, which is stopping: no crash, whatever the message did before. */
  settled(delivery: RabbitMqDelivery): void {
    this.#taken.delete(delivery);
    this.#progress();
  }

  /** A suspect was run alone, failed, and killed nobody: it waits for its retry beside the others. */
  cleared(delivery: RabbitMqDelivery): void {
    delivery.clear();
    this.#progress();
  }

  /** A channel is gone, and its deliveries with it. */
  lost(deliveries: readonly RabbitMqDelivery[]): void {
    for (const delivery of deliveries) this.#taken.delete(delivery);
    // A channel that failed in the middle of an acknowledgement has told nobody what it lost.
    for (const delivery of this.#taken) if (delivery.isGone) this.#taken.delete(delivery);
    this.#waiting = this.#waiting.filter(({ delivery }) => !delivery.isGone);
    this.#progress();
  }

  /** Resolves when the core holds nothing. */
  async whenNothingTaken(): Promise<void> {
    while (this.#taken.size > 0) await this.#nextProgress();
  }

  #hand(delivery: RabbitMqDelivery): void {
    this.#taken.add(delivery);
    this.#sink.deliver(delivery);
  }

  /** Resolves when nothing is being handed out, nor run alone. */
  async whenIdle(): Promise<void> {
    while (this.#isHandingOut) await this.#handingOut;
  }

  #handOut(): void {
    if (this.#isHandingOut) return;
    this.#isHandingOut = true;
    this.#handingOut = this.#handOutAll();
  }

  /** Never rejects. */
  async #handOutAll(): Promise<void> {
    while (!this.#isHeldUp) {
      const next = this.#waiting.shift();
      if (!next) break;
      if (next.delivery.isGone) continue;
      if (next.isSuspect) await this.#runAlone(next.delivery);
      else this.#hand(next.delivery);
    }
    this.#isHandingOut = false;
  }

  async #runAlone(delivery: RabbitMqDelivery): Promise<void> {
    await this.whenNothingTaken();
    while (!(await suspectTurn.take(TURN_TIMEOUT_MS, delivery.lost))) if (delivery.isGone) return;
    try {
      await this.#runInTurn(delivery);
    } finally {
      suspectTurn.give();
    }
  }

  async #runInTurn(delivery: RabbitMqDelivery): Promise<void> {
    const run = await this.#noteRun(delivery);
    if (!run) return;
    if (this.#isHeldUp && !delivery.isGone) this.#waiting.unshift({ delivery, isSuspect: true });
    else if (!delivery.isGone) {
      delivery.suspicion = run.unfinished >= CRASHED_AFTER ? "crashed" : "careful";
      this.#hand(delivery);
      while (this.#taken.size > 0 && !delivery.isCleared) await this.#nextProgress();
    }
    await (delivery.isAnswered || delivery.isCleared ? this.#runs.settled(run) : this.#runs.survived(run));
  }

  async #noteRun(delivery: RabbitMqDelivery): Promise<AloneRun | undefined> {
    for (let attempt = 0; !delivery.isGone; attempt++) {
      try {
        return await this.#runs.begin(identityOf(delivery.message));
      } catch (error) {
        this.#logger.warn(`A message at "${delivery.source}" waits, since it cannot be noted that it runs alone: ${textOf(error)}`);
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), delivery.lost);
      }
    }
    return undefined;
  }

  #nextProgress(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #progress(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
