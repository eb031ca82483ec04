import type { BrokerContext } from "./broker-context.js";
import type { QueueIdentity } from "./delivering-queue.js";
import { errors } from "./errors.js";
import { MessageQueue } from "./message-queue.js";
import { contentOf, type QueuedMessage } from "./queued-message.js";

/** What a dead-letter queue asks of the entity that it belongs to. */
export interface SubQueueParent {
  readonly path: string;
  readonly lockDuration: number;
  readonly maxMessageSize: number;
  /** Where dead letters go on to; `undefined`: they stay. */
  readonly forwardDeadLettersTo: string | undefined;
  touch(): void;
}

/** A dead-letter queue or a transfer dead-letter queue: messages neither expire in it nor leave it for being tried too often. */
export class SubQueue extends MessageQueue {
  readonly kind: "dead-letter-queue" | "transfer-dead-letter-queue";
  readonly #parent: SubQueueParent;

  constructor(kind: SubQueue["kind"], identity: QueueIdentity, parent: SubQueueParent, context: BrokerContext) {
    super(identity, context);
    this.kind = kind;
    this.#parent = parent;
  }

  get lockDuration(): number {
    return this.#parent.lockDuration;
  }

  get maxMessageSize(): number {
    return this.#parent.maxMessageSize;
  }

  touch(): void {
    this.#parent.touch();
  }

  protected get maxDeliveryCount(): number {
    return Number.POSITIVE_INFINITY;
  }

  protected get defaultTimeToLive(): number {
    return Number.POSITIVE_INFINITY;
  }

  protected get expires(): boolean {
    return false;
  }

  protected assertReceivable(): void {
    if (this.forwards) throw errors.forwarded(this.path);
  }

  protected get forwardTarget(): string | undefined {
    return this.kind === "dead-letter-queue" ? this.#parent.forwardDeadLettersTo : undefined;
  }

  /** Dead letters that cannot go on stay where they are (https://github.com/Azure/azure-service-bus/issues/666). */
  protected forward(message: QueuedMessage, target: string): boolean {
    try {
      const content = { ...contentOf(message), deadLetterSource: this.#parent.path, hops: message.hops + 1 };
      this.context.forward(target, content, message.enqueuedSequence);
      return true;
    } catch {
      return false;
    }
  }

  protected undeliverable(): void {
    throw errors.deadLetterOfDeadLetter(this.path);
  }

  protected activate(): void {
    throw new Error("A dead-letter queue has no scheduled messages.");
  }
}
