import type { ServiceBusMessage, ServiceBusMessageBatch, ServiceBusSender } from "@azure/service-bus";
import type { ManagedClient } from "./connection.js";
import { AzureServiceBusError, textOf } from "./errors.js";
import { isWrittenAlike, MessageBatch } from "./message-batch.js";
import { isPlain, MOST_DATA_HEAD_BYTES } from "./message-encoder.js";
import { type SendFailure, sendFailure } from "./send-error.js";
import type { Submission } from "./submission.js";
import { answered } from "./time-limit.js";

/** What a {@link SenderLink} tells to its owner. */
export interface SenderLinkOwner {
  /** The largest message that the link takes, in bytes. */
  limit(maxBytes: number): void;
  succeeded(): void;
  failed(failure: SendFailure): void;
  /** The entity is not there. Resolves when sending may go on, whatever came of it. */
  repair(entity: string): Promise<void>;
  idle(): void;
}

/** Transfers without an answer; what comes beyond waits, and leaves in larger batches. The service grants about 1000, the client has room for 2047. */
const MAX_OUTSTANDING = 64;
/** However large a message may be, a batch may not be larger. */
const MAX_BATCH_BYTES = 1_048_576;
/** Several batches on their way at one time are faster than one: while the service stores one the next is written. */
const MAX_BATCH_MESSAGES = 50;
/** More than what is around a message's body and headers: a message that is smaller by so much needs no measuring. */
const OVERHEAD_BYTES = 16_384;
/** So many sends in a row that were not answered end the link, though the connection lives: it hangs by itself. */
const MAX_UNANSWERED = 2;
/** The handed over are cut off the queue's array by so many at a time. */
const COMPACT_AFTER = 1024;
const NOTHING = Buffer.alloc(0);

/** Sends to one queue or topic: in order, in batches of what is waiting. */
export class SenderLink {
  readonly entity: string;
  readonly #isEvent: boolean;
  readonly #connection: ManagedClient;
  readonly #owner: SenderLinkOwner;
  #sender: ServiceBusSender;
  #client: ManagedClient["client"];
  #queue: Submission[] = [];
  #head = 0;
  #outstanding = 0;
  /** Of what is outstanding: a message waits for the one before it under the same key. */
  readonly #keys = new Map<string, number>();
  #maxBytes = 0;
  #isOpen = false;
  /** Whether a batch of ours is what the client would send. */
  #isOursAlike = false;
  #isPumping = false;
  #unanswered = 0;
  #wake: (() => void) | undefined;

  constructor(entity: string, isEvent: boolean, connection: ManagedClient, owner: SenderLinkOwner) {
    this.entity = entity;
    this.#isEvent = isEvent;
    this.#connection = connection;
    this.#owner = owner;
    this.#client = connection.client;
    this.#sender = this.#client.createSender(entity);
  }

  get isIdle(): boolean {
    return this.#outstanding === 0 && this.#queue.length === this.#head;
  }

  take(entry: Submission): void {
    this.#queue.push(entry);
  }

  /** Sends what was taken. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    void this.#run();
  }

  /** The client was replaced, or the link hangs. */
  renew(): void {
    const old = this.#sender;
    this.#unanswered = 0;
    this.#client = this.#connection.client;
    this.#sender = this.#client.createSender(this.entity);
    this.#isOpen = false;
    void old.close().catch(() => {});
  }

  async close(): Promise<void> {
    await this.#sender.close();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#queue.length > this.#head) {
      if (this.#outstanding >= MAX_OUTSTANDING) {
        await this.#progress();
        continue;
      }
      const next = this.#queue[this.#head];
      if (!next || next.isAnswered) this.#head++;
      else if (this.#isKeyBusy(next)) await this.#progress();
      else if (this.#isOpen && (next.goesAlone || this.#isLast()) && this.#surelyFits(next)) this.#handOne(next);
      else await this.#handBatch(next);
      if (this.#head >= COMPACT_AFTER || this.#head === this.#queue.length) {
        this.#queue.splice(0, this.#head);
        this.#head = 0;
      }
    }
    this.#isPumping = false;
    if (this.isIdle) this.#owner.idle();
  }

  #isLast(): boolean {
    return this.#queue.length === this.#head + 1;
  }

  #surelyFits({ send: { message } }: Submission): boolean {
    let bytes = OVERHEAD_BYTES + (message.body as Buffer).length;
    for (const name in message.applicationProperties) bytes += 3 * (name.length + String(message.applicationProperties[name]).length);
    return bytes <= this.#maxBytes;
  }

  #handOne(entry: Submission): void {
    this.#head++;
    void this.#hand([entry], entry.send.message);
  }

  async #handBatch(first: Submission): Promise<void> {
    let batch: ServiceBusMessageBatch;
    const client = this.#client;
    try {
      batch = this.#ownBatch(first) ?? (await this.#openBatch());
    } catch (error) {
      this.#connection.failed(error, client);
      await this.#cannotOpen(error);
      return;
    }
    const entries: Submission[] = [];
    for (let entry = this.#queue[this.#head]; entry; entry = this.#queue[this.#head]) {
      if (!entry.isAnswered) {
        // Under one key a batch keeps the order; what is outstanding in another may fail while this one does not.
        if (this.#isKeyBusy(entry) || (entry.goesAlone && entries.length > 0)) break;
        if (!this.#add(entry, batch)) {
          if (entries.length > 0) break;
          if (this.#fitsAlone(entry, batch)) return this.#handOne(entry);
          this.#tooLarge(entry);
          this.#head++;
          return;
        }
        if (!entry.isAnswered) entries.push(entry);
      }
      this.#head++;
      if (entry.goesAlone || entries.length >= MAX_BATCH_MESSAGES) break;
    }
    if (batch instanceof MessageBatch) batch.seal();
    if (entries.length > 0) void this.#hand(entries, batch);
  }

  #ownBatch({ send: { message } }: Submission): MessageBatch | undefined {
    return this.#isOpen && this.#isOursAlike && isPlain(message) ? MessageBatch.begin(this.#maxBatchBytes) : undefined;
  }

  get #maxBatchBytes(): number {
    return Math.min(this.#maxBytes, MAX_BATCH_BYTES);
  }

  async #openBatch(): Promise<ServiceBusMessageBatch> {
    const { requestTimeoutMs } = this.#connection;
    if (!this.#isOpen) {
      const probe = await answered(this.#sender.createMessageBatch(), requestTimeoutMs);
      this.#isOpen = true;
      this.#maxBytes = probe.maxSizeInBytes;
      this.#isOursAlike = isWrittenAlike(probe);
      this.#owner.limit(this.#maxBytes);
    }
    return answered(this.#sender.createMessageBatch({ maxSizeInBytes: this.#maxBatchBytes }), requestTimeoutMs);
  }

  /** @returns whether it is in the batch, or was refused since no client can write it */
  #add(entry: Submission, batch: ServiceBusMessageBatch): boolean {
    try {
      return batch.tryAddMessage(entry.send.message);
    } catch (cause) {
      const text = `The message cannot be written for Azure Service Bus: ${textOf(cause)}`;
      entry.refused(new AzureServiceBusError("refused", text, { retryable: false, cause }));
      return true;
    }
  }

  /**
   * Whether the link takes the message, though a batch does not: that has the head of its first message twice, and may be shorter than a message.
   * @param batch an empty one, which is used up: it measures the head
   */
  #fitsAlone({ send: { message } }: Submission, batch: ServiceBusMessageBatch): boolean {
    if (!batch.tryAddMessage({ ...message, body: NOTHING })) return false;
    return batch.sizeInBytes / 2 + MOST_DATA_HEAD_BYTES + (message.body as Buffer).length <= this.#maxBytes;
  }

  #tooLarge(entry: Submission): void {
    const text = `The message has ${(entry.send.message.body as Buffer).length} bytes; "${this.entity}" takes ${this.#maxBytes} with its headers (MessageSizeExceeded). Put the large part elsewhere, or take a tier that takes more.`;
    entry.refused(new AzureServiceBusError("too-large", text, { retryable: false }));
  }

  async #hand(entries: readonly Submission[], payload: ServiceBusMessage | ServiceBusMessageBatch): Promise<void> {
    this.#outstanding++;
    for (const entry of entries) {
      entry.isHandedOver = true;
      this.#count(entry, 1);
    }
    const client = this.#client;
    // Given up by us, and not by the client, whose own timer ends the process when it goes off after its link was lost (rhea-promise 3.0.3, `get address`).
    const abortSignal = this.#connection.requestTimeout;
    try {
      await this.#sender.sendMessages(payload, { abortSignal });
      if (payload instanceof MessageBatch) payload.letGo();
      this.#connection.heard();
      this.#unanswered = 0;
      for (const entry of entries) entry.sent();
      this.#owner.succeeded();
    } catch (cause) {
      const error = abortSignal.aborted ? notAnswered(cause) : cause;
      this.#connection.failed(error, client);
      this.#isOpen = false;
      if (!abortSignal.aborted) this.#unanswered = 0;
      else if (client === this.#client && ++this.#unanswered >= MAX_UNANSWERED) this.renew();
      await this.#failed(entries, sendFailure(error, this.entity, this.#isEvent, true));
    } finally {
      this.#outstanding--;
      for (const entry of entries) this.#count(entry, -1);
      this.#wake?.();
      if (this.isIdle) this.#owner.idle();
    }
  }

  async #failed(entries: readonly Submission[], failure: SendFailure): Promise<void> {
    if (failure.error.code === "too-large" && entries.length > 1) {
      for (const entry of entries) {
        entry.goesAlone = true;
        entry.isHandedOver = false;
      }
      this.#queue = [...entries, ...this.#queue.slice(this.#head)];
      this.#head = 0;
      this.pump();
      return;
    }
    if (failure.error.code === "topology") await this.#owner.repair(this.entity);
    this.#owner.failed(failure);
    for (const entry of entries) {
      if (failure.outcome === "refused") entry.refused(failure.error);
      else entry.unknown(failure.error);
      this.#refuseFollowers(entry, failure.error);
    }
  }

  /** What was to follow it under the same key, in the same call, must not overtake its second try. */
  #refuseFollowers(entry: Submission, error: AzureServiceBusError): void {
    const { key } = entry.send;
    if (key === undefined || !error.retryable) return;
    for (let i = this.#head; i < this.#queue.length; i++) {
      const other = this.#queue[i];
      if (other?.send.key === key && other.call === entry.call) other.refused(error);
    }
  }

  async #cannotOpen(error: unknown): Promise<void> {
    const failure = sendFailure(error, this.entity, this.#isEvent, false);
    const waiting = this.#queue.slice(this.#head);
    this.#queue = [];
    this.#head = 0;
    if (failure.error.code === "topology") await this.#owner.repair(this.entity);
    this.#owner.failed(failure);
    for (const entry of waiting) entry.refused(failure.error);
  }

  #isKeyBusy({ send: { key } }: Submission): boolean {
    return key !== undefined && this.#keys.has(key);
  }

  #count({ send: { key } }: Submission, by: 1 | -1): void {
    if (key === undefined) return;
    const count = (this.#keys.get(key) ?? 0) + by;
    if (count === 0) this.#keys.delete(key);
    else this.#keys.set(key, count);
  }

  #progress(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

function notAnswered(cause: unknown): AzureServiceBusError {
  return new AzureServiceBusError("timeout", "it has not answered in time", { retryable: true, cause });
}
