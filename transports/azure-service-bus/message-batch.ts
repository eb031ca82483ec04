import type { ServiceBusMessageBatch } from "@azure/service-bus";
import { AmqpWriter } from "./amqp-writer.js";
import {
  isPlain,
  MOST_DATA_HEAD_BYTES,
  mostHeadBytes,
  type OutgoingServiceBusMessage,
  type PlainMessage,
  writeData,
  writeDataHead,
  writeHead,
} from "./message-encoder.js";

/** Room for about fifty messages of 1 KB; a writer grows. */
const WRITER_BYTES = 65_536;
/** One that has grown larger is not kept. */
const MAX_SPARE_BYTES = 262_144;
/** As many are kept for the batches to come; as a rule there are as many batches on their way at one time. */
const MAX_SPARES = 4;
/** A batch that fills less of its writer than this part is copied out of it: it may wait long for its answer. */
const WORTH_KEEPING = 1 / 4;
const NOTHING = Buffer.alloc(0);

/** Of batches that were answered. */
const spares: AmqpWriter[] = [];

/**
 * A batch for the client's sender that encodes its messages by itself, once, into one buffer. The client makes some twenty objects and buffers for each message, and copies
 * all of them again for the batch. What comes out is the same, byte for byte: the head of the first message, and behind it each message as a section of data.
 */
export class MessageBatch implements ServiceBusMessageBatch {
  readonly maxSizeInBytes: number;
  count = 0;
  /** The client asks for it: it has begun no spans for these messages. */
  readonly _messageSpanContexts: readonly never[] = [];
  /** Until its bytes are copied, or read by nobody any more. */
  #writer: AmqpWriter | undefined;
  #isSealed = false;
  #copied: Buffer = NOTHING;

  private constructor(maxBytes: number, writer: AmqpWriter) {
    this.maxSizeInBytes = maxBytes;
    this.#writer = writer;
    writer.position = 0;
  }

  static begin(maxBytes: number): MessageBatch {
    return new MessageBatch(maxBytes, spares.pop() ?? new AmqpWriter(WRITER_BYTES));
  }

  get sizeInBytes(): number {
    return this.#writer?.position ?? this.#copied.length;
  }

  /** @returns whether it is in the batch: it has room there, and is one that we can write (see {@link isPlain}) */
  tryAddMessage(message: OutgoingServiceBusMessage): boolean {
    const writer = this.#writer;
    if (!writer || this.#isSealed || !isPlain(message)) return false;
    const start = writer.position;
    writer.reserve(2 * (mostHeadBytes(message) + MOST_DATA_HEAD_BYTES) + message.body.length);
    if (this.count === 0) writeHead(writer, message);
    writeSection(writer, message);
    if (writer.position > this.maxSizeInBytes) {
      writer.position = start;
      return false;
    }
    this.count++;
    return true;
  }

  /** The client asks for it: the message that is sent. */
  _generateMessage(): Buffer {
    return this.#writer?.written ?? this.#copied;
  }

  /** Takes no more messages, and from here on not much more memory than its bytes, for as long as the service does not answer. */
  seal(): void {
    this.#isSealed = true;
    if (!this.#writer || this.#writer.position >= WORTH_KEEPING * this.#writer.capacity) return;
    this.#copied = Buffer.from(this.#writer.written);
    this.letGo();
  }

  /** The service has answered that it has the batch, and nobody reads its bytes any more: others may be written over them. */
  letGo(): void {
    const writer = this.#writer;
    this.#writer = undefined;
    if (writer && writer.capacity <= MAX_SPARE_BYTES && spares.length < MAX_SPARES) spares.push(writer);
  }
}

function writeSection(writer: AmqpWriter, message: PlainMessage): void {
  const start = writer.position;
  const content = start + MOST_DATA_HEAD_BYTES;
  writer.position = content;
  writeHead(writer, message);
  writeData(writer, message.body);
  const end = writer.position;
  writer.position = start;
  writeDataHead(writer, end - content);
  writer.again(content, end);
}

/** One of everything that we write. */
const SAMPLE: OutgoingServiceBusMessage = {
  body: Buffer.alloc(300, "sample"),
  messageId: "sample",
  sessionId: "0",
  subject: "sample",
  contentType: "text/plain",
  correlationId: "sample",
  replyTo: "sample",
  to: "sample",
  scheduledEnqueueTimeUtc: new Date(2 ** 40),
  applicationProperties: { sample: "s\u00e4mple", long: "sample".repeat(50) },
};

/**
 * Whether a batch of the client comes out as ours does. It does not where the client is a later one with other insides, nor where it is instrumented and adds to each
 * message the trace that it leaves in: then it is to write its batches itself.
 *
 * @param batch an empty one, which is used up
 */
export function isWrittenAlike(batch: ServiceBusMessageBatch): boolean {
  const own = MessageBatch.begin(batch.maxSizeInBytes);
  try {
    if (!batch.tryAddMessage(SAMPLE) || !own.tryAddMessage(SAMPLE)) return false;
    const theirs: unknown = (batch as MessageBatch)._generateMessage();
    return Buffer.isBuffer(theirs) && theirs.equals(own._generateMessage()) && batch.sizeInBytes === own.sizeInBytes;
  } catch {
    return false;
  } finally {
    own.letGo();
  }
}
