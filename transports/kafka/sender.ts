import type { SendResult } from "../../src/contracts/transport.js";
import { SharedDeadlines } from "../../src/util/shared-deadlines.js";
import { settledBy } from "../../src/util/time-limit.js";
import type { KafkaConnection } from "./connection.js";
import type { DriverError, DriverProducer } from "./driver.js";
import { KafkaError, unavailable } from "./errors.js";
import type { RecordToSend } from "./mapping.js";
import { ProduceQueue, type RequestPart } from "./produce-queue.js";
import { Publication, PublishBatch } from "./publication.js";
import { invalid, missing, notConfirmed, refusalOf, tooLarge } from "./send-errors.js";
import { BATCH_OVERHEAD } from "./send-lane.js";
import type { TopicDirectory, TopicState } from "./topic-directory.js";

/** What the sender asks of the transport. */
export interface SenderOwner {
  /** Whether a topic that is missing is one of ours; if so, it is being made anew from now on. */
  repairTopic(topic: string): boolean;
}

/** A copy of a delivery (retry, dead letter) that is not confirmed by then counts as not stored, and is tried again. */
const COPY_TIMEOUT_MS = 30_000;

/** Appends records, with all in-sync replicas' word for each. Never rejects, and answers only what it knows. */
export class Sender {
  readonly #connection: KafkaConnection;
  readonly #directory: TopicDirectory;
  readonly #owner: SenderOwner;
  readonly #queue: ProduceQueue;
  /** What came for topics that are being looked for. */
  readonly #unknown = new Map<string, Publication[]>();
  readonly #deadlines = new SharedDeadlines<Publication>((entries) => this.#giveUp(entries));
  #idle: (() => void)[] = [];

  /** @param requestMs the longest that one request may take, with all that belongs to it */
  constructor(connection: KafkaConnection, directory: TopicDirectory, owner: SenderOwner, requestMs: number) {
    this.#connection = connection;
    this.#directory = directory;
    this.#owner = owner;
    this.#queue = new ProduceQueue(
      {
        get producer(): DriverProducer | undefined {
          return connection.producer;
        },
        stateOf: (topic) => this.#stateOf(topic),
        failed: (parts, error, producer) => this.#failed(parts, error, producer),
        idle: () => this.#tellIdle(),
      },
      requestMs,
    );
  }

  /** Resolves with one result for each, in order, at the latest when `signal` aborts. */
  send(records: readonly RecordToSend[], signal: AbortSignal): Promise<readonly SendResult[]> {
    if (records.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const entries: Publication[] = [];
      const batch = new PublishBatch(records.length, (results) => {
        this.#deadlines.remove(deadline);
        resolve(results);
      });
      for (let i = 0; i < records.length; i++) {
        const record = records[i];
        if (record) entries.push(new Publication(record, batch, i));
      }
      const deadline = this.#deadlines.add(signal, entries);
      if (signal.aborted) this.#giveUp(entries);
      else for (const entry of entries) this.#take(entry);
    });
  }

  /** Appends the copy of a delivery. "sent": it is stored. */
  async copy(record: RecordToSend): Promise<SendResult> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), COPY_TIMEOUT_MS);
    const [result] = await this.send([record], timeout.signal);
    clearTimeout(timer);
    return result ?? { outcome: "refused", error: unavailable("The copy was not sent.") };
  }

  /** There is a producer, or another one: what was put back meanwhile can go. */
  connected(): void {
    this.#queue.schedule();
  }

  /** There is no broker: what waits is answered now; kept, it would overtake what comes again under the same key. */
  disconnected(reason: string): void {
    this.#queue.refuseAll(noConnection(reason));
  }

  /** Waits until the broker has answered everything, at most until `deadline` (a `performance.now()` time). */
  async close(deadline: number): Promise<void> {
    if (!this.#isIdle) await settledBy(deadline, new Promise<void>((resolve) => this.#idle.push(resolve)));
    this.#queue.refuseAll(noConnection("the bus is stopping"));
  }

  get #isIdle(): boolean {
    return this.#queue.isIdle && this.#unknown.size === 0;
  }

  #take(entry: Publication): void {
    const { topic } = entry.record;
    if (!this.#connection.producer) {
      entry.refused(noConnection(this.#connection.downReason));
      return;
    }
    const waiting = this.#unknown.get(topic);
    if (waiting) {
      waiting.push(entry);
      return;
    }
    const state = this.#directory.known(topic);
    if (state) {
      this.#enqueue(entry, state);
      return;
    }
    this.#unknown.set(topic, [entry]);
    void this.#lookFor(topic);
  }

  #enqueue(entry: Publication, state: TopicState): void {
    const limit = state.maxMessageBytes - BATCH_OVERHEAD;
    entry.isOversized = entry.bytes > limit;
    if (!entry.isOversized || entry.record.isCopy) {
      this.#queue.add(entry, state);
      return;
    }
    entry.refused(tooLarge(entry, limit));
    // It may have been raised meanwhile: the next one asks.
    this.#directory.forget(entry.record.topic);
  }

  /** The lanes of a topic that was forgotten wait until it is found again, or is not. */
  #stateOf(topic: string): TopicState | undefined {
    const state = this.#directory.known(topic);
    if (!state && !this.#unknown.has(topic)) {
      this.#unknown.set(topic, []);
      void this.#lookFor(topic);
    }
    return state;
  }

  async #lookFor(topic: string): Promise<void> {
    let state: TopicState | undefined;
    let trouble: KafkaError | undefined;
    try {
      state = await this.#directory.find(topic);
    } catch (error) {
      trouble = error instanceof KafkaError ? error : unavailable(`Topic "${topic}" cannot be looked for.`, error);
    }
    const entries = this.#unknown.get(topic) ?? [];
    this.#unknown.delete(topic);
    if (state) {
      for (const entry of entries) if (!entry.isAnswered) this.#enqueue(entry, state);
    } else {
      const isOurs = trouble === undefined && this.#owner.repairTopic(topic);
      this.#queue.refuseTopic(topic, trouble ?? missing(topic, false, isOurs));
      for (const entry of entries) entry.refused(trouble ?? missing(topic, entry.record.mandatory, isOurs));
    }
    this.#queue.schedule();
  }

  #giveUp(entries: readonly Publication[]): void {
    for (const entry of entries) {
      if (entry.isAnswered) continue;
      if (entry.isHandedOver) {
        entry.unknown(new KafkaError("timeout", "Kafka has not confirmed the message in time; it may have it.", { retryable: true }));
      } else {
        entry.refused(new KafkaError("timeout", "The message was not stored: it was not handed to Kafka in time.", { retryable: true }));
      }
    }
    // What was given up is not kept for the day when the broker takes messages again.
    for (const [topic, waiting] of this.#unknown) {
      this.#unknown.set(
        topic,
        waiting.filter((entry) => !entry.isAnswered),
      );
    }
    this.#queue.purge();
  }

  #failed(parts: readonly RequestPart[], error: DriverError, producer: DriverProducer): void {
    const refusal = refusalOf(error);
    const [only] = parts;
    if (refusal === undefined) this.#inDoubt(parts, error, producer);
    else if (parts.length === 1 && only) this.#refused(only, error, refusal, producer);
    else this.#separate(parts);
  }

  /** One of them is to blame, and nobody says which: each goes again, alone. */
  #separate(parts: readonly RequestPart[]): void {
    for (const part of parts) {
      part.lane.isAlone = true;
      for (const publication of part.publications) publication.isInDoubt = true;
      this.#queue.putBack(part);
    }
  }

  /** The broker refused the records of one partition, none of which it has. */
  #refused(part: RequestPart, error: DriverError, refusal: "record" | "topic" | "now", producer: DriverProducer): void {
    const { lane, publications } = part;
    const { topic } = lane;
    if (refusal === "record") {
      const [only] = publications;
      if (publications.length > 1 || !only) {
        lane.narrow(publications.length);
        this.#queue.putBack(part);
      } else if (error.kind === "too-large") {
        only.refused(tooLarge(only, undefined));
        this.#directory.forget(topic);
      } else {
        only.refused(invalid(topic, error));
      }
      return;
    }
    const failure = notConfirmed(topic, error, "was not stored");
    if (refusal === "topic") {
      this.#directory.forget(topic);
      this.#connection.replaceProducer(producer, error.message);
    }
    for (const publication of publications) publication.refused(failure);
    if (lane.partition >= 0) this.#queue.refuseLane(lane, failure);
  }

  /** Nobody knows what became of them. */
  #inDoubt(parts: readonly RequestPart[], error: DriverError, producer: DriverProducer): void {
    for (const { lane, publications } of parts) {
      const failure = notConfirmed(lane.topic, error, "may or may not be stored");
      for (const publication of publications) publication.unknown(failure);
      // What waits behind them would overtake them.
      if (lane.partition >= 0) this.#queue.refuseLane(lane, notConfirmed(lane.topic, error, "was not stored"));
      this.#directory.forget(lane.topic);
    }
    if (mistrusts(error)) this.#connection.replaceProducer(producer, error.message);
  }

  #tellIdle(): void {
    if (!this.#isIdle) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

// Its connections, or what it knows: a topic that is gone or has no leader fails, in kafkajs, every other one's requests with the same producer.
function mistrusts({ kind, type }: DriverError): boolean {
  return type === undefined || kind === "no-topic" || type === "LEADER_NOT_AVAILABLE";
}

function noConnection(reason: string): KafkaError {
  return unavailable(`There is no connection to Kafka now: ${reason}`);
}
