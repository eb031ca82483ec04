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
const NOTHING = Buffer.alloc(0);

/** Of the batch that was written last, for the next one: they are written one after the other. */
let spare: AmqpWriter | undefined;

/**
 * A batch for the client's sender that encodes its messages by itself, once, into one buffer. The client makes some twenty objects and buffers for each message, and copies
 * all of them again for the batch. What comes out is the same, byte for byte: the head of the first message, and behind it each message as a section of data.
 */
export class MessageBatch implements ServiceBusMessageBatch {
  readonly maxSizeInBytes: number;
  count = 0;
  /** The client asks for it: it has begun no spans for these messages. */
  readonly _messageSpanContexts: readonly never[] = [];
  /** Until it is sealed. */
  #writer: AmqpWriter | undefined;
  #sealed: Buffer = NOTHING;

  private constructor(maxBytes: number, writer: AmqpWriter) {
    this.maxSizeInBytes = maxBytes;
    this.#writer = writer;
    writer.position = 0;
  }

  static begin(maxBytes: number): MessageBatch {
    const writer = spare ?? new AmqpWriter(WRITER_BYTES);
    spare = undefined;
    return new MessageBatch(maxBytes, writer);
  }

  get sizeInBytes(): number {
    return this.#writer?.position ?? this.#sealed.length;
  }

  /** @returns whether it is in the batch: it has room there, and is one that we can write (see {@link isPlain}) */
  tryAddMessage(message: OutgoingServiceBusMessage): boolean {
    const writer = this.#writer;
    if (!writer || !isPlain(message)) return false;
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
    return this.#writer?.written ?? this.#sealed;
  }

  /** Takes no more messages, and from here on as much memory as its bytes, for as long as the service does not answer. */
  seal(): void {
    if (!this.#writer) return;
    this.#sealed = Buffer.from(this.#writer.written);
    if (this.#writer.capacity <= MAX_SPARE_BYTES) spare = this.#writer;
    this.#writer = undefined;
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
    own.seal();
  }
}
