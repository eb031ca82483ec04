import { DecodeError } from "../amqp/amqp-error.js";
import { keptCopy } from "../amqp/kept-bytes.js";
import { integerOf } from "../amqp/values.js";
import type { BrokerContext } from "./broker-context.js";
import { BrokerError } from "./broker-error.js";
import type { IncomingMessage } from "./contracts.js";
import type { QueueDescription, TopicDescription } from "./descriptions.js";
import { DuplicateHistory, duplicateKey } from "./duplicate-history.js";
import { errors } from "./errors.js";
import { readMessageId, readSessionId } from "./message-sections.js";
import { sends } from "./primary-queue.js";
import type { MessageContent } from "./queued-message.js";

const SCHEDULED_ENQUEUE_TIME = "x-opt-scheduled-enqueue-time";

/** What a queue or a topic asks before it takes messages, and the ids that it has seen. */
export class Intake {
  readonly history: DuplicateHistory = new DuplicateHistory();
  readonly #id: number;
  readonly #path: string;
  readonly #context: BrokerContext;
  readonly #state: () => { readonly description: QueueDescription | TopicDescription; readonly bytes: number };
  readonly #senders = new Set<(error: BrokerError) => void>();
  #ended: BrokerError | undefined;

  constructor(
    identity: { readonly id: number; readonly path: string },
    context: BrokerContext,
    state: () => { readonly description: QueueDescription | TopicDescription; readonly bytes: number },
  ) {
    this.#id = identity.id;
    this.#path = identity.path;
    this.#context = context;
    this.#state = state;
  }

  /** See Sendable.openSender. */
  openSender(onEnd: (error: BrokerError) => void): () => void {
    this.#senders.add(onEnd);
    return () => this.#senders.delete(onEnd);
  }

  /** The entity is deleted. */
  end(error: BrokerError): void {
    this.#ended = error;
    const senders = [...this.#senders];
    this.#senders.clear();
    for (const onEnd of senders) onEnd(error);
  }

  /** @throws BrokerError when nothing may be sent now. */
  assertOpen(): void {
    if (this.#ended) throw this.#ended;
    if (this.#context.faults.throttledUntil > this.#context.timers.now()) throw errors.busy();
    const { description, bytes } = this.#state();
    if (!sends(description.status)) throw errors.disabled(this.#path, "sends");
    if (bytes >= description.maxSizeInMegabytes * 1_048_576) throw errors.full(this.#path, description.maxSizeInMegabytes);
  }

  /** Reads what a queue needs to know of a message; refuses what is none. */
  read(message: IncomingMessage): MessageContent {
    const at = integerOf(message.annotations?.get(SCHEDULED_ENQUEUE_TIME) ?? null);
    return {
      durable: message.durable,
      priority: message.priority,
      timeToLive: message.timeToLive,
      annotations: message.annotations,
      deliveryAnnotations: message.deliveryAnnotations,
      bare: keptCopy(message.bare),
      sessionId: read(readSessionId, message.bare),
      scheduledEnqueueTime: at === undefined ? undefined : Number(at),
      hops: 0,
    };
  }

  /** Whether a message of this id was taken within the window: then this one is dropped. */
  isDuplicate(bare: Buffer): boolean {
    const { description } = this.#state();
    if (!description.requiresDuplicateDetection) return false;
    const key = duplicateKey(read(readMessageId, bare));
    if (key === undefined) return false;
    const now = this.#context.timers.now();
    const seen = this.history.check(key, now, description.duplicateDetectionHistoryTimeWindow);
    if (!seen) this.#context.journal?.duplicateKeySeen(this.#id, key, now);
    return seen;
  }
}

function read<T>(reader: (bare: Buffer) => T, bare: Buffer): T {
  try {
    return reader(bare);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new BrokerError("amqp:decode-error", `The message cannot be read: ${error.message}.`);
  }
}
