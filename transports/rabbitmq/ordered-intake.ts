import type { Logger } from "../../src/contracts/logger.js";
import type { DeliverySink } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { AloneNotes } from "./alone-notes.js";
import type { RabbitMqDelivery } from "./delivery.js";
import { textOf } from "./errors.js";
import { suspectTurn } from "./suspect-turn.js";
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
  readonly #notes: AloneNotes;
  readonly #logger: Logger;
  readonly #waiting: { readonly delivery: RabbitMqDelivery; readonly isSuspect: boolean }[] = [];
  /** Handed to the core and not settled. */
  readonly #taken = new Set<RabbitMqDelivery>();
  /** Runs alone that were cut off by a lost channel while this process lived on: nobody's crash. */
  readonly #survived = new Map<string, number>();
  #isHandingOut = false;
  #isHeldUp = false;
  #waiters: (() => void)[] = [];

  constructor(sink: DeliverySink, notes: AloneNotes, logger: Logger) {
    this.#sink = sink;
    this.#notes = notes;
    this.#logger = logger;
  }

  /** @param unexplained how often the message was held by a process that died, as far as is known */
  take(delivery: RabbitMqDelivery, unexplained: number): void {
    const isSuspect = unexplained >= SUSPECT_AFTER;
    if (!isSuspect && this.#waiting.length === 0 && !this.#isHandingOut && !this.#isHeldUp) this.#hand(delivery);
    else {
      this.#waiting.push({ delivery, isSuspect });
      if (!this.#isHandingOut) void this.#handOut();
    }
  }

  /** Nothing more is handed to the core; what arrives waits. */
  holdUp(): void {
    this.#isHeldUp = true;
  }

  /** After {@link holdUp}. */
  goOn(): void {
    this.#isHeldUp = false;
    if (!this.#isHandingOut) void this.#handOut();
  }

  /** A delivery was settled, or given back by the core, which is stopping: no crash, whatever the message did before. */
  settled(delivery: RabbitMqDelivery): void {
    this.#taken.delete(delivery);
    this.#progress();
  }

  /** The channel is gone, and everything with it. */
  lost(): void {
    this.#waiting.length = 0;
    this.#taken.clear();
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

  /** Never rejects. */
  async #handOut(): Promise<void> {
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

  async #runAlone(delivery: RabbitMqDelivery): Promise<void> {
    await this.whenNothingTaken();
    while (!(await suspectTurn.take(TURN_TIMEOUT_MS, delivery.lost))) if (delivery.isLost) return;
    try {
      await this.#runInTurn(delivery);
    } finally {
      suspectTurn.give();
    }
  }

  async #runInTurn(delivery: RabbitMqDelivery): Promise<void> {
    const id = identityOf(delivery.message);
    const starts = await this.#noteStart(delivery, id);
    if (delivery.isLost || starts === undefined) return;
    if (this.#isHeldUp) {
      this.#waiting.unshift({ delivery, isSuspect: true });
      await this.#forgetStart();
      return;
    }
    delivery.suspicion = starts >= CRASHED_AFTER ? "crashed" : "careful";
    this.#hand(delivery);
    await this.whenNothingTaken();
    if (delivery.isLost) {
      this.#survived.set(id, (this.#survived.get(id) ?? 0) + 1);
      return;
    }
    this.#survived.delete(id);
    await this.#forgetStart();
  }

  async #forgetStart(): Promise<void> {
    const stays = (error: unknown): void => this.#logger.debug(`A note of a message that ran alone stays for now: ${textOf(error)}`);
    await this.#notes.end().catch(stays);
  }

  async #noteStart(delivery: RabbitMqDelivery, id: string): Promise<number | undefined> {
    for (let attempt = 0; !delivery.isLost; attempt++) {
      try {
        return Math.max(0, (await this.#notes.begin(id)) - (this.#survived.get(id) ?? 0));
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
