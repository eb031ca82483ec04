import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from "kafkajs";
import type { Delivery, DeliverySink, Receiver, ReceiveSource } from "trolleybus";
import { type KafkaMistakes, unavailable } from "./careless-kafka-transport.js";

const SESSION_TIMEOUT_MS = 6_000;
const HEARTBEAT_MS = 1_000;
const COMMIT_EVERY_MS = 200;

/** Hands records over while fewer than `prefetch` are unsettled, and commits the contiguous prefix of what is done. */
export class CarelessKafkaReceiver implements Receiver {
  readonly #consumer: Consumer;
  readonly #source: ReceiveSource;
  readonly #sink: DeliverySink;
  readonly #mistakes: KafkaMistakes;
  /** By topic and partition. */
  readonly #trackers = new Map<string, Tracker>();
  #unsettled = 0;
  #stopped = false;
  #room: (() => void)[] = [];
  #commits: NodeJS.Timeout | undefined;

  constructor(kafka: Kafka, source: ReceiveSource, sink: DeliverySink, mistakes: KafkaMistakes) {
    this.#source = source;
    this.#sink = sink;
    this.#mistakes = mistakes;
    this.#consumer = kafka.consumer({
      groupId: source.endpoint.name,
      sessionTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxWaitTimeInMs: 200,
      allowAutoTopicCreation: false,
      retry: { retries: 1_000_000, initialRetryTime: 200, maxRetryTime: 1_000, restartOnFailure: async () => true },
    });
  }

  async start(): Promise<void> {
    const joined = new Promise<void>((resolve) => {
      this.#consumer.on(this.#consumer.events.GROUP_JOIN, ({ payload }) => {
        this.#joined(payload.memberAssignment);
        resolve();
      });
    });
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topics: [...this.#source.endpoint.subscribed], fromBeginning: true });
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: true,
      partitionsConsumedConcurrently: 6,
      eachBatch: (batch) => this.#take(batch),
    });
    await joined;
    this.#commits = setInterval(() => void this.#commit(), COMMIT_EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#release();
  }

  async close(): Promise<void> {
    clearInterval(this.#commits);
    await this.#commit();
    await this.#consumer.disconnect().catch(() => {});
  }

  settled(): void {
    this.#unsettled--;
    this.#release();
  }

  #release(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const go of waiting) go();
  }

  #joined(assignment: Readonly<Record<string, readonly number[]>>): void {
    if (this.#mistakes.resetAtRejoin) {
      this.#trackers.clear();
      return;
    }
    const gone = [...this.#trackers].filter(([, { topic, partition }]) => !assignment[topic]?.includes(partition));
    for (const [, tracker] of gone) tracker.lose();
    if (this.#mistakes.commitLost) void this.#commit();
    for (const [key] of gone) this.#trackers.delete(key);
  }

  async #take({ batch, heartbeat, isRunning, isStale }: EachBatchPayload): Promise<void> {
    for (const message of batch.messages) {
      while (this.#unsettled >= this.#source.prefetch) {
        if (this.#stopped || !isRunning() || isStale()) return;
        await this.#roomOrTime();
        await heartbeat();
      }
      if (this.#stopped || !isRunning() || isStale()) return;
      const tracker = this.#tracker(batch.topic, batch.partition);
      const offset = Number(message.offset);
      if (!tracker.isNew(offset)) continue;
      this.#unsettled++;
      this.#sink.deliver(new CarelessKafkaDelivery(this, tracker, message));
      if (this.#mistakes.commitFirst) tracker.done(offset);
    }
  }

  #tracker(topic: string, partition: number): Tracker {
    const key = `${topic} ${partition}`;
    let tracker = this.#trackers.get(key);
    if (!tracker || tracker.isLost) {
      tracker = new Tracker(topic, partition);
      this.#trackers.set(key, tracker);
    }
    return tracker;
  }

  async #roomOrTime(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, HEARTBEAT_MS);
      this.#room.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #commit(): Promise<void> {
    const offsets = [...this.#trackers.values()]
      .filter((tracker) => tracker.hasNews)
      .map((tracker) => ({ topic: tracker.topic, partition: tracker.partition, offset: String(tracker.toCommit()) }));
    // A commit that failed is made up for by the next one, or by the next owner's.
    if (offsets.length > 0) await this.#consumer.commitOffsets(offsets).catch(() => {});
  }
}

/** What was fetched of a partition, and what of it is done. */
class Tracker {
  readonly topic: string;
  readonly partition: number;
  readonly #open = new Set<number>();
  readonly #loss = new AbortController();
  #next = -1;
  #committed = -1;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get isLost(): boolean {
    return this.#loss.signal.aborted;
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  /** Another instance has the partition: it is done with here. */
  lose(): void {
    this.#open.clear();
    this.#loss.abort();
  }

  isNew(offset: number): boolean {
    if (offset < this.#next) return false;
    this.#open.add(offset);
    this.#next = offset + 1;
    return true;
  }

  done(offset: number): void {
    this.#open.delete(offset);
  }

  get hasNews(): boolean {
    return this.#prefix > this.#committed;
  }

  toCommit(): number {
    this.#committed = this.#prefix;
    return this.#committed;
  }

  get #prefix(): number {
    const [lowest] = this.#open; // Offsets come in order, and a set keeps it.
    return lowest ?? this.#next;
  }
}

class CarelessKafkaDelivery implements Delivery {
  readonly #receiver: CarelessKafkaReceiver;
  readonly #tracker: Tracker;
  readonly #message: KafkaMessage;
  readonly suspicion = "none";
  readonly headers = {};

  constructor(receiver: CarelessKafkaReceiver, tracker: Tracker, message: KafkaMessage) {
    this.#receiver = receiver;
    this.#tracker = tracker;
    this.#message = message;
  }

  get body(): Uint8Array {
    return this.#message.value ?? new Uint8Array();
  }

  get properties(): Delivery["properties"] {
    const text = (name: string): string => String(this.#message.headers?.[name] ?? "");
    return {
      messageId: text("message-id"),
      messageType: text("message-type"),
      contentType: text("content-type"),
      correlationId: text("correlation-id"),
    };
  }

  get source(): string {
    return `${this.#tracker.topic}/${this.#tracker.partition}@${this.#message.offset}`;
  }

  get lost(): AbortSignal {
    return this.#tracker.lost;
  }

  get isLost(): boolean {
    return this.#tracker.isLost;
  }

  complete(): "settled" | "lost" {
    this.#receiver.settled();
    if (this.isLost) return "lost";
    this.#tracker.done(Number(this.#message.offset));
    return "settled";
  }

  async release(): Promise<"settled" | "lost"> {
    this.#receiver.settled();
    return this.isLost ? "lost" : "settled";
  }

  async retry(): Promise<never> {
    throw unavailable("the control retries nothing: no handler of its workload fails");
  }

  async deadLetter(): Promise<never> {
    throw unavailable("the control has no dead letters: no handler of its workload fails");
  }
}
