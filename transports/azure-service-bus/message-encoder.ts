import type { ServiceBusMessage } from "@azure/service-bus";
import { type AmqpWriter, mostBytesOf } from "./amqp-writer.js";

/** What the adapter sets of a message; a field beyond these is one that the encoder below must know. */
export type OutgoingServiceBusMessage = Pick<
  ServiceBusMessage,
  | "applicationProperties"
  | "body"
  | "contentType"
  | "correlationId"
  | "messageId"
  | "replyTo"
  | "scheduledEnqueueTimeUtc"
  | "sessionId"
  | "subject"
  | "to"
>;

/** A message of which everything is as the encoder can write it. */
export type PlainMessage = Omit<
  OutgoingServiceBusMessage,
  "applicationProperties" | "body" | "correlationId" | "messageId" | "sessionId"
> & {
  readonly applicationProperties?: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly correlationId?: string;
  readonly messageId: string;
  readonly sessionId: string;
};

/** The longest message id and session id that the client takes. */
const MAX_ID_LENGTH = 128;
const MAX_SYMBOL_LENGTH = 255;
const ASCII = /^[\x20-\x7e]+$/;

/** Codes of the sections: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html#section-message-format */
const DESCRIBED = 0x00;
const SMALL_ULONG = 0x53;
const HEADER = 0x70;
const MESSAGE_ANNOTATIONS = 0x72;
const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;
const DATA = 0x75;
const EMPTY_LIST = 0x45;
const BINARY_8 = 0xa0;
const BINARY_32 = 0xb0;
const MAX_SHORT = 0xff;

const SCHEDULED_ENQUEUE_TIME = "x-opt-scheduled-enqueue-time";
/** The properties up to the one for the session, which is the last that is written. */
const PROPERTY_COUNT = 11;
/** More than all that has the same length in every message. */
const FIXED_BYTES = 128;

/** Whether the encoder can write it. What it cannot the client can, or refuses in its own words. */
export function isPlain(message: OutgoingServiceBusMessage): message is PlainMessage {
  const { body, messageId, sessionId, contentType, correlationId, scheduledEnqueueTimeUtc: at } = message;
  return (
    Buffer.isBuffer(body) &&
    isText(messageId) &&
    messageId.length <= MAX_ID_LENGTH &&
    isText(sessionId) &&
    sessionId.length <= MAX_ID_LENGTH &&
    (contentType === undefined || (isText(contentType) && contentType.length <= MAX_SYMBOL_LENGTH && ASCII.test(contentType))) &&
    (correlationId === undefined || isText(correlationId)) &&
    (message.subject === undefined || isText(message.subject)) &&
    (message.replyTo === undefined || isText(message.replyTo)) &&
    (message.to === undefined || isText(message.to)) &&
    (at === undefined || at.getTime() >= 0) &&
    areTexts(message.applicationProperties)
  );
}

// An empty one the client leaves out at one place and writes at another.
function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function areTexts(properties: ServiceBusMessage["applicationProperties"]): boolean {
  for (const name in properties) if (typeof properties[name] !== "string") return false;
  return true;
}

/** What stands before the body takes at most so many bytes. */
export function mostHeadBytes(message: PlainMessage): number {
  const { messageId, sessionId, contentType, correlationId, subject, replyTo, to, applicationProperties } = message;
  let bytes = FIXED_BYTES + mostBytesOf(messageId) + mostBytesOf(sessionId);
  if (contentType !== undefined) bytes += mostBytesOf(contentType);
  if (correlationId !== undefined) bytes += mostBytesOf(correlationId);
  if (subject !== undefined) bytes += mostBytesOf(subject);
  if (replyTo !== undefined) bytes += mostBytesOf(replyTo);
  if (to !== undefined) bytes += mostBytesOf(to);
  for (const name in applicationProperties) bytes += mostBytesOf(name) + mostBytesOf(applicationProperties[name] as string);
  return bytes;
}

/** Everything of a message but its body, as the client writes it. The writer has room for {@link mostHeadBytes}. */
export function writeHead(writer: AmqpWriter, message: PlainMessage): void {
  beginSection(writer, HEADER);
  writer.byte(EMPTY_LIST);
  writeAnnotations(writer, message);
  writeProperties(writer, message);
  writeApplicationProperties(writer, message);
}

function writeAnnotations(writer: AmqpWriter, { scheduledEnqueueTimeUtc: at }: PlainMessage): void {
  beginSection(writer, MESSAGE_ANNOTATIONS);
  const start = writer.beginMap(at === undefined ? 0 : 2);
  if (at !== undefined) {
    writer.symbol(SCHEDULED_ENQUEUE_TIME);
    writer.timestamp(at.getTime());
  }
  writer.end(start);
}

function writeProperties(writer: AmqpWriter, message: PlainMessage): void {
  beginSection(writer, PROPERTIES);
  const start = writer.beginList(PROPERTY_COUNT);
  writer.string(message.messageId);
  writer.null(); // user-id
  writeOptional(writer, message.to);
  writeOptional(writer, message.subject);
  writeOptional(writer, message.replyTo);
  writeOptional(writer, message.correlationId);
  if (message.contentType === undefined) writer.null();
  else writer.symbol(message.contentType);
  writer.null(); // content-encoding
  writer.null(); // absolute-expiry-time
  writer.null(); // creation-time
  writer.string(message.sessionId); // group-id
  writer.end(start);
}

function writeApplicationProperties(writer: AmqpWriter, { applicationProperties }: PlainMessage): void {
  if (applicationProperties === undefined) return;
  beginSection(writer, APPLICATION_PROPERTIES);
  let count = 0;
  for (const _ in applicationProperties) count += 2;
  const start = writer.beginMap(count);
  for (const name in applicationProperties) {
    writer.string(name);
    writer.string(applicationProperties[name] as string);
  }
  writer.end(start);
}

/** The head of a data section takes so many bytes at most. */
export const MOST_DATA_HEAD_BYTES = 8;

/** A section with the body. The writer has room for it and {@link MOST_DATA_HEAD_BYTES}. */
export function writeData(writer: AmqpWriter, body: Uint8Array): void {
  writeDataHead(writer, body.length);
  writer.bytes(body);
}

/** What stands before so many bytes of data. */
export function writeDataHead(writer: AmqpWriter, length: number): void {
  beginSection(writer, DATA);
  if (length <= MAX_SHORT) {
    writer.byte(BINARY_8);
    writer.byte(length);
  } else {
    writer.byte(BINARY_32);
    writer.uint32(length);
  }
}

function beginSection(writer: AmqpWriter, code: number): void {
  writer.byte(DESCRIBED);
  writer.byte(SMALL_ULONG);
  writer.byte(code);
}

function writeOptional(writer: AmqpWriter, text: string | undefined): void {
  if (text === undefined) writer.null();
  else writer.string(text);
}
