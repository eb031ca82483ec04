import type { ChannelModel } from "amqplib";
import type { Logger } from "../../src/contracts/logger.js";
import type { SendResult } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { SharedDeadlines } from "../../src/util/shared-deadlines.js";
import type { ManagedConnection } from "./connection.js";
import { RabbitMqError, type ServerAnswer, textOf, unavailable } from "./errors.js";
import type { Publish } from "./mapping.js";
import { Publication, PublishBatch } from "./publication.js";
import { limitIn, missingExchange, PublishChannel, tooLarge } from "./publish-channel.js";
import { settledBy } from "./time-limit.js";

/** What the sender asks of, and tells to, the transport. */
export interface SenderOwner {
  status(status: "up" | "degraded" | "down", reason?: string): void;
  /** The server does not know this exchange. Resolves when publishing may go on, whatever came of it. */
  repairExchange(exchange: string): Promise<void>;
}

/** Publishes that their callers gave up while the broker owes a confirm; beyond it the connection is not worth keeping. */
const MAX_ABANDONED = 10_000;
/** A copy of a delivery (retry, dead letter, suspect) that is not confirmed by then counts as not stored, and is tried again. */
const COPY_TIMEOUT_MS = 30_000;
/** The handed over are cut off the queue's array by so many at a time. */
const COMPACT_AFTER = 1024;
const FIRST_WAIT_MS = 100;
const REOPEN_AFTER_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** Publishes with confirms over one channel that comes back by itself. Never rejects, and answers only what it knows. */
export class Sender {
  readonly #connection: ManagedConnection;
  readonly #owner: SenderOwner;
  readonly #logger: Logger;
  readonly #leave: () => void;
  readonly #firstChannel: Promise<void>;
  #waiting: Publication[] = [];
  /** Where the waiting ones begin in the array. */
  #head = 0;
  #channel: PublishChannel | undefined;
  #maxBytes: number;
  #blocked: string | undefined;
  #down = "not connected yet";
  #session = 0;
  #idle: (() => void)[] = [];
  readonly #repairs = new Set<string>();
  readonly #deadlines = new SharedDeadlines<Publication>((entries) => this.#giveUp(entries));

  constructor(connection: ManagedConnection, maxBytes: number, owner: SenderOwner, logger: Logger) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
    this.#owner = owner;
    this.#logger = logger;
    let opened: Promise<void> | undefined;
    this.#leave = connection.listen({
      connected: (model) => {
        const opening = this.#openChannel(model);
        opened ??= opening;
      },
      disconnected: (reason) => this.#disconnected(reason),
      blocked: (reason) => this.#setBlocked(reason),
      unblocked: () => this.#setBlocked(undefined),
    });
    this.#firstChannel = opened ?? Promise.resolve();
  }

  /** Largest body that the broker is known to take. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Resolves when the first channel is open, or has failed to open; publishing works, or is refused, from then on. */
  ready(): Promise<void> {
    return this.#firstChannel;
  }

  /** Resolves with one result for each, in order, at the latest when `signal` aborts. */
  send(publishes: readonly Publish[], signal: AbortSignal): Promise<readonly SendResult[]> {
    if (publishes.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const entries: Publication[] = [];
      const batch = new PublishBatch(publishes.length, (results) => {
        this.#deadlines.remove(deadline);
        resolve(results);
      });
      for (let i = 0; i < publishes.length; i++) {
        const publish = publishes[i];
        if (publish) entries.push(new Publication(publish, batch, i));
      }
      const deadline = this.#deadlines.add(signal, entries);
      if (signal.aborted) this.#giveUp(entries);
      else {
        for (const entry of entries) this.#take(entry);
        this.#pump();
      }
    });
  }

  /** Publishes the copy of a delivery. "sent": the broker has confirmed it and a queue has it. */
  async copy(publish: Publish): Promise<SendResult> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), COPY_TIMEOUT_MS);
    const [result] = await this.send([publish], timeout.signal);
    clearTimeout(timer);
    return result ?? { outcome: "refused", error: unavailable("The copy was not published.") };
  }

  /** Waits until the broker has answered everything, at most until `deadline` (a `performance.now()` time), and lets go of the channel. */
  async close(deadline: number): Promise<void> {
    if (!this.#isIdle) await settledBy(deadline, new Promise<void>((resolve) => this.#idle.push(resolve)));
    this.#leave();
    const channel = this.#channel;
    this.#lose("the bus is stopping");
    if (channel) await settledBy(deadline, channel.close());
  }

  get #isIdle(): boolean {
    return (this.#channel?.unconfirmed ?? 0) === 0 && this.#waiting.length === this.#head;
  }

  #take(entry: Publication): void {
    const { content, exchange } = entry.publish;
    if (content.length > this.#maxBytes) entry.refused(tooLarge(content.length, this.#maxBytes));
    else if (!this.#channel) entry.refused(unavailable(`There is no connection to RabbitMQ now: ${this.#down}.`));
    else if (this.#repairs.has(exchange))
      entry.refused(unavailable(`The exchange "${exchange}" is missing in RabbitMQ and is being made anew.`));
    else this.#waiting.push(entry);
  }

  #pump(): void {
    const channel = this.#channel;
    if (!channel || this.#blocked !== undefined) return;
    const waiting = this.#waiting;
    while (this.#head < waiting.length && channel.hasRoom) {
      const entry = waiting[this.#head++];
      if (entry && !entry.isAnswered) channel.hand(entry);
    }
    if (this.#head >= COMPACT_AFTER || this.#head === waiting.length) {
      waiting.splice(0, this.#head);
      this.#head = 0;
    }
    if (this.#idle.length > 0) this.#tellIdle();
  }

  #giveUp(entries: readonly Publication[]): void {
    for (const entry of entries) {
      if (entry.isAnswered) continue;
      if (entry.handedTo) {
        entry.unknown(new RabbitMqError("timeout", "RabbitMQ has not confirmed the message in time; it may have it.", { retryable: true }));
        entry.handedTo.abandon();
      } else {
        entry.refused(notInTime(this.#blocked));
      }
    }
    // What was given up is not kept for the day when the broker takes messages again.
    this.#waiting = this.#waiting.slice(this.#head).filter((entry) => !entry.isAnswered);
    this.#head = 0;
    const abandoned = this.#channel?.abandoned ?? 0;
    if (abandoned > MAX_ABANDONED) this.#connection.reset(`RabbitMQ owes the confirms of ${abandoned} messages.`);
    else this.#pump();
  }

  async #openChannel(model: ChannelModel): Promise<void> {
    const session = ++this.#session;
    this.#blocked = undefined;
    for (let attempt = 0; session === this.#session && !this.#connection.isClosing; attempt++) {
      try {
        const owner = {
          hasRoom: () => this.#pump(),
          closed: (reason: string, answer?: ServerAnswer) => this.#channelClosed(session, model, reason, answer),
        };
        const channel = await PublishChannel.open(model, owner);
        if (session !== this.#session) return;
        this.#channel = channel;
        this.#tellStatus();
        this.#pump();
        return;
      } catch (error) {
        if (session !== this.#session) return;
        this.#down = textOf(error);
        // A connection on which no channel opens is broken, whatever it says of itself.
        if (attempt > 0) return this.#connection.reset(`no channel for publishing: ${this.#down}`);
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS));
      }
    }
  }

  #channelClosed(session: number, model: ChannelModel, reason: string, answer: ServerAnswer | undefined): void {
    if (session !== this.#session) return;
    this.#lose(reason);
    const limit = limitIn(answer);
    if (limit !== undefined) this.#maxBytes = Math.min(this.#maxBytes, limit);
    const missing = missingExchange(answer);
    if (missing !== undefined) void this.#repair(missing);
    void this.#reopen(session, model, reason);
  }

  /** After a wait: if the connection itself went, it has been told by then. */
  async #reopen(session: number, model: ChannelModel, reason: string): Promise<void> {
    await delay(REOPEN_AFTER_MS, this.#connection.closing);
    if (session !== this.#session || !this.#connection.isUsable(model)) return;
    this.#logger.warn(`The channel for publishing to RabbitMQ was closed: ${reason}. It is made anew.`);
    await this.#openChannel(model);
  }

  async #repair(exchange: string): Promise<void> {
    if (this.#repairs.has(exchange)) return;
    this.#repairs.add(exchange);
    this.#tellStatus();
    await this.#owner.repairExchange(exchange);
    this.#repairs.delete(exchange);
    this.#tellStatus();
  }

  #disconnected(reason: string): void {
    this.#session++;
    this.#lose(reason);
  }

  // What had not been handed over is answered now: kept, it would overtake what comes again under the same key.
  #lose(reason: string): void {
    this.#channel = undefined;
    this.#blocked = undefined;
    this.#down = reason;
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    this.#tellStatus();
    for (const entry of waiting) entry.refused(unavailable(`The connection to RabbitMQ went: ${reason}.`));
    this.#tellIdle();
  }

  #setBlocked(reason: string | undefined): void {
    if (reason !== undefined) this.#logger.warn(`RabbitMQ takes no messages for now: ${reason}.`);
    else if (this.#blocked !== undefined) this.#logger.info("RabbitMQ takes messages again.");
    this.#blocked = reason;
    this.#tellStatus();
    this.#pump();
  }

  #tellStatus(): void {
    if (!this.#channel) this.#owner.status("down", this.#down);
    else if (this.#blocked !== undefined) this.#owner.status("degraded", `blocked: ${this.#blocked}`);
    else if (this.#repairs.size > 0) this.#owner.status("degraded", `missing in RabbitMQ: exchange ${[...this.#repairs].join(", ")}`);
    else this.#owner.status("up");
  }

  #tellIdle(): void {
    if (!this.#isIdle) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

function notInTime(blocked?: string): RabbitMqError {
  const why = blocked === undefined ? "it was not handed to RabbitMQ in time" : `RabbitMQ takes no messages for now (${blocked})`;
  return new RabbitMqError("timeout", `The message was not stored: ${why}.`, { retryable: true });
}
