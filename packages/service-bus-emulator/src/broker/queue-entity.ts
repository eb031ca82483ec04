import type { BrokerContext } from "./broker-context.js";
import type { BrokerError } from "./broker-error.js";
import type { IncomingMessage, Sendable } from "./contracts.js";
import type { QueueDescription } from "./descriptions.js";
import { errors } from "./errors.js";
import { Intake } from "./intake.js";
import { PrimaryQueue } from "./primary-queue.js";
import { contentOf, type MessageContent, type QueuedMessage } from "./queued-message.js";

export class QueueEntity extends PrimaryQueue<QueueDescription> implements Sendable {
  readonly kind = "queue";
  readonly intake: Intake;

  constructor(id: number, path: string, description: QueueDescription, context: BrokerContext) {
    super(id, path, description, context);
    this.intake = new Intake({ id, path }, context, () => ({
      description: this.description,
      bytes: this.totalBytes,
    }));
  }

  get maxMessageSize(): number {
    return this.description.maxMessageSizeInKilobytes * 1024;
  }

  openSender(onEnd: (error: BrokerError) => void): () => void {
    return this.intake.openSender(onEnd);
  }

  override end(error: BrokerError): void {
    super.end(error);
    this.intake.end(error);
  }

  send(messages: readonly IncomingMessage[]): void {
    for (const content of this.#read(messages)) this.#take(content, undefined);
  }

  schedule(messages: readonly IncomingMessage[]): bigint[] {
    const contents = this.#read(messages);
    if (contents.some((content) => content.scheduledEnqueueTime === undefined)) {
      throw errors.invalid("A message to be scheduled has no annotation x-opt-scheduled-enqueue-time.");
    }
    return contents.map((content) => BigInt(this.#take(content, undefined)));
  }

  /** Takes a message that another entity forwards. @throws BrokerError as `send`. */
  accept(content: MessageContent, enqueuedSequence: number): void {
    this.intake.assertOpen();
    this.#assertSession(content);
    this.#take(content, enqueuedSequence);
  }

  protected activate(message: QueuedMessage): void {
    this.enqueue(contentOf(message), { enqueuedSequence: message.enqueuedSequence });
  }

  #read(messages: readonly IncomingMessage[]): MessageContent[] {
    this.intake.assertOpen();
    this.touch();
    const contents = messages.map((message) => this.intake.read(message));
    for (const content of contents) this.#assertSession(content);
    return contents;
  }

  #assertSession(content: MessageContent): void {
    if (this.requiresSession && content.sessionId === undefined) throw errors.sessionIdMissing(this.path);
  }

  /** The sequence number; that of a duplicate, which is dropped, belongs to no message. */
  #take(content: MessageContent, enqueuedSequence: number | undefined): number {
    if (this.intake.isDuplicate(content.bare)) return this.store.lastSequence;
    const scheduled = (content.scheduledEnqueueTime ?? 0) > this.context.timers.now();
    return this.enqueue(content, { scheduled, enqueuedSequence });
  }
}
