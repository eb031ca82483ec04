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
 * Hands the deliveries of one session of an ordered endpoint to the core in their order, once it is noted in the broker that the session is held. A
 * suspect stays in its place: what came before it ends first, it runs alone, noted beforehand, and what comes after it waits here.
 */
export class OrderedIntake {
  readonly #sink: DeliverySink;
  readonly #notes: SessionNotes;
  readonly #mostHeld: number;
  readonly #logger: Logger;
  #waiting: { readonly delivery: ServiceBusDelivery; readonly isSuspect: boolean }[] = [];
  /** Handed to the core, and still held. */
  readonly #taken = new Set<ServiceBusDelivery>();
  /** Of these, suspects that wait for their retry. */
  readonly #cleared = new Set<ServiceBusDelivery>();
  /** The first of the session. */
  #head: ServiceBusDelivery | undefined;
  /** So many more are suspects, whatever is known of them: one of them was held whenever a process died. */
  #suspects = 0;
  #isNoted = false;
  #isHandingOut = false;
  #isHeldUp = false;
  /** That came to an end of which one can learn: settled, or failed without having killed. */
  #innocent: ServiceBusDelivery | undefined;
  readonly #ended = new AbortController();
  #waiters: (() => void)[] = [];

  /** @param mostHeld of the session by a process, when it is as this one */
  constructor(sink: DeliverySink, notes: SessionNotes, mostHeld: number, logger: Logger) {
    this.#sink = sink;
    this.#notes = notes;
    this.#mostHeld = mostHeld;
    this.#logger = logger;
  }

  /** @param unexplained how often the message was held by a process that died, as far as the broker counted it */
  take(delivery: ServiceBusDelivery, unexplained: number): void {
    const isSuspect = unexplained >= SUSPECT_AFTER || this.#notes.hasRunAlone(() => sequenceOf(delivery.message));
    const waits = this.#isHandingOut || this.#isHeldUp || this.#waiting.length > 0;
    if (this.#isNoted && !isSuspect && !waits && this.#suspects === 0) this.#hand(delivery);
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

  /** The broker has taken that the message is done with. */
  settled(delivery: ServiceBusDelivery): void {
    this.#innocent = delivery;
    if (delivery === this.#head) this.#notes.headSettled();
  }

  /** A delivery is held no longer: settled, given back or lost. */
  gone(delivery: ServiceBusDelivery): void {
    this.#taken.delete(delivery);
    this.#cleared.delete(delivery);
    this.#progress();
  }

  /** A suspect was run alone, failed, and killed nobody: it waits for its retry beside the others. */
  cleared(delivery: ServiceBusDelivery): void {
    delivery.suspicion = "none";
    this.#cleared.add(delivery);
    this.#innocent = delivery;
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
    if (!this.#isNoted && !this.#isHeldUp) await this.#noteSession();
    while (!this.#isHeldUp) {
      const next = this.#waiting.shift();
      if (!next) break;
      if (next.delivery.isLost) continue;
      if (next.isSuspect || this.#suspects > 0) await this.#runAlone(next.delivery);
      else this.#hand(next.delivery);
    }
    this.#isHandingOut = false;
  }

  async #noteSession(): Promise<void> {
    const head = this.#waiting[0]?.delivery;
    if (!head) return;
    this.#head = head;
    const deaths = await this.#noted("that its session is held", head, () => this.#notes.open(sequenceOf(head.message)));
    if (deaths === undefined) return;
    this.#isNoted = true;
    if (deaths >= SUSPECT_AFTER) this.#suspect(deaths, head);
    this.#waiting = this.#waiting.map((entry) => {
      const hasRun = this.#notes.hasRunAlone(() => sequenceOf(entry.delivery.message));
      return hasRun ? { ...entry, isSuspect: true } : entry;
    });
  }

  #suspect(deaths: number, { source, properties: { messageId } }: ServiceBusDelivery): void {
    this.#suspects = this.#mostHeld;
    this.#logger.warn(
      `Messages at "${source}" were held by ${deaths} instances that did not come back. This one, and what is behind it, will be run alone.`,
      { messageId },
    );
  }

  async #runAlone(delivery: ServiceBusDelivery): Promise<void> {
    while (this.#isInTheWayOf(delivery) && !this.#isOver) await this.#nextProgress();
    while (!(await suspectTurn.take(TURN_TIMEOUT_MS, this.#ended.signal))) if (this.#isOver) return;
    try {
      await this.#runInTurn(delivery);
    } finally {
      suspectTurn.give();
    }
  }

  async #runInTurn(delivery: ServiceBusDelivery): Promise<void> {
    const id = sequenceOf(delivery.message);
    const deaths = await this.#noted("that it runs alone", delivery, () => this.#notes.begin(id));
    if (deaths === undefined || this.#isOver) return;
    if (this.#isHeldUp) this.#waiting.unshift({ delivery, isSuspect: true });
    else {
      delivery.suspicion = deaths >= CRASHED_AFTER ? "crashed" : "careful";
      this.#hand(delivery);
      while (this.#taken.has(delivery) && !this.#cleared.has(delivery)) await this.#nextProgress();
    }
    // In a session that is lost the note stays until this receiver has it again.
    if (this.#isOver) return;
    await this.#notes
      .end(id, this.#innocent === delivery)
      .catch((error: unknown) => this.#logger.debug(`A note of a message that ran alone stays for now: ${textOf(error)}`));
    if (this.#suspects > 0 && this.#innocent === delivery && --this.#suspects === 0) this.#notes.survived();
  }

  // One that has killed nobody may wait for its retry as long as it takes, but for those of its own key.
  #isInTheWayOf({ properties }: ServiceBusDelivery): boolean {
    for (const held of this.#taken) if (!this.#cleared.has(held) || held.properties.partitionKey === properties.partitionKey) return true;
    return false;
  }

  /** As often as it takes. @returns `undefined` when the session is held no longer */
  async #noted(what: string, { source }: ServiceBusDelivery, note: () => Promise<number>): Promise<number | undefined> {
    for (let attempt = 0; !this.#isOver; attempt++) {
      try {
        return await note();
      } catch (error) {
        if (this.#isOver) break;
        this.#logger.warn(`A message at "${source}" waits, since it cannot be noted ${what}: ${textOf(error)}`);
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
