import type { Logger } from "../../src/contracts/logger.js";
import type { DeliverySink } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import type { ServiceBusDelivery } from "./delivery.js";
import { textOf } from "./errors.js";
import { sequenceOf } from "./mapping.js";
import type { SessionNotes } from "./session-notes.js";
import { CRASHED_AFTER, SUSPECT_AFTER } from "./suspicion.js";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** Asked for again and again: the wait for the turn ends with the session alone. */
const TURN_TIMEOUT_MS = 60_000;

/**
 * Hands the deliveries of one session of an ordered endpoint to the core in their order. A suspect stays in its place: what came before it ends
 * first, it runs alone, noted in the broker beforehand, and what comes after it waits here.
 */
export class OrderedIntake {
  readonly #sink: DeliverySink;
  readonly #notes: SessionNotes;
  readonly #logger: Logger;
  #waiting: { readonly delivery: ServiceBusDelivery; readonly isSuspect: boolean }[] = [];
  /** Handed to the core, and still held. */
  readonly #taken = new Set<ServiceBusDelivery>();
  #isHandingOut = false;
  #isHeldUp = false;
  readonly #ended = new AbortController();
  #waiters: (() => void)[] = [];

  constructor(sink: DeliverySink, notes: SessionNotes, logger: Logger) {
    this.#sink = sink;
    this.#notes = notes;
    this.#logger = logger;
  }

  /** @param unexplained how often the message was held by a process that died, as far as is known */
  take(delivery: ServiceBusDelivery, unexplained: number): void {
    const isSuspect = unexplained >= SUSPECT_AFTER;
    if (!isSuspect && this.#waiting.length === 0 && !this.#isHandingOut && !this.#isHeldUp) this.#hand(delivery);
    else {
      this.#waiting.push({ delivery, isSuspect });
      void this.#handOut();
    }
  }

  /** Nothing more is handed to the core; what arrives waits. */
  holdUp(): void {
    this.#isHeldUp = true;
  }

  /** After {@link holdUp}. */
  goOn(): void {
    this.#isHeldUp = false;
    void this.#handOut();
  }

  /** The session is held no longer, or will not be in a moment. */
  end(): void {
    this.#isHeldUp = true;
    this.#waiting = [];
    this.#ended.abort();
    this.#progress();
  }

  /** Whether the core holds nothing. */
  get isIdle(): boolean {
    return this.#taken.size === 0;
  }

  /** Resolves when the core holds nothing. */
  async whenIdle(): Promise<void> {
    while (!this.isIdle) await this.#nextProgress();
  }

  /** A delivery is held no longer: settled, given back or lost. */
  gone(delivery: ServiceBusDelivery): void {
    this.#taken.delete(delivery);
    this.#progress();
  }

  /** A suspect was run alone, failed, and killed nobody: it waits for its retry beside the others. */
  cleared(delivery: ServiceBusDelivery): void {
    delivery.suspicion = "none";
    this.#progress();
  }

  #hand(delivery: ServiceBusDelivery): void {
    this.#taken.add(delivery);
    this.#sink.deliver(delivery);
  }

  /** Never rejects. */
  async #handOut(): Promise<void> {
    if (this.#isHandingOut) return;
    this.#isHandingOut = true;
    while (!this.#isHeldUp) {
      const next = this.#waiting.shift();
      if (!next) break;
      if (next.delivery.isLost) continue;
      if (next.isSuspect) await this.#runAlone(next.delivery);
      else this.#hand(next.delivery);
    }
    this.#isHandingOut = false;
  }

  async #runAlone(delivery: ServiceBusDelivery): Promise<void> {
    while (!this.isIdle && !this.#isOver) await this.#nextProgress();
    while (!(await suspectTurn.take(TURN_TIMEOUT_MS, this.#ended.signal))) if (this.#isOver) return;
    try {
      await this.#runInTurn(delivery);
    } finally {
      suspectTurn.give();
    }
  }

  async #runInTurn(delivery: ServiceBusDelivery): Promise<void> {
    const starts = await this.#noteStart(delivery);
    if (starts === undefined || this.#isOver) return;
    if (this.#isHeldUp) this.#waiting.unshift({ delivery, isSuspect: true });
    else {
      delivery.suspicion = starts >= CRASHED_AFTER ? "crashed" : "careful";
      this.#hand(delivery);
      while (this.#taken.has(delivery) && !isCleared(delivery)) await this.#nextProgress();
    }
    // This process lived through it. In a session that is lost the note stays, and counts once too often.
    if (this.#isOver) return;
    await this.#notes
      .end()
      .catch((error: unknown) => this.#logger.debug(`A note of a message that ran alone stays for now: ${textOf(error)}`));
  }

  async #noteStart(delivery: ServiceBusDelivery): Promise<number | undefined> {
    for (let attempt = 0; !this.#isOver; attempt++) {
      try {
        return await this.#notes.begin(sequenceOf(delivery.message));
      } catch (error) {
        if (this.#isOver) break;
        this.#logger.warn(`A message at "${delivery.source}" waits, since it cannot be noted that it runs alone: ${textOf(error)}`);
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#ended.signal);
      }
    }
    return undefined;
  }

  get #isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  #nextProgress(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #progress(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

function isCleared({ suspicion }: ServiceBusDelivery): boolean {
  return suspicion === "none";
}
