import { randomUUID } from "node:crypto";
import { DecodeError } from "../amqp/amqp-error.js";
import { Decoder } from "../amqp/decoder.js";
import { Encoder, encodeValue } from "../amqp/encoder.js";
import { keptCopy } from "../amqp/kept-bytes.js";
import { type AmqpValue, described, integerOf, isList, isMap, textOf, ulong } from "../amqp/values.js";
import type { IncomingMessage, StoredMessage } from "../broker/contracts.js";

/** The message format of a transfer whose body is encoded messages, one in each data section: what the SDKs send for a batch. */
export const BATCH_FORMAT = 0x80013700;

const HEADER = 0x70;
const DELIVERY_ANNOTATIONS = 0x71;
const MESSAGE_ANNOTATIONS = 0x72;
const PROPERTIES = 0x73;
const DATA = 0x75;
const FOOTER = 0x78;
const LOCK_TOKEN = "x-opt-lock-token";
/** The type code of null. */
const NULL = 0x40;

/** Type codes of maps, and what one without entries takes. */
const MAP_8 = 0xc1;
const MAP_32 = 0xd1;
const EMPTY_MAP_8_BYTES = 3;
const EMPTY_MAP_32_BYTES = 9;

/** Annotations that the broker sets: a client's own ones of the same names would lie. */
const BROKER_ANNOTATIONS: ReadonlySet<string> = new Set([
  "x-opt-sequence-number",
  "x-opt-enqueue-sequence-number",
  "x-opt-enqueued-time",
  "x-opt-locked-until",
  "x-opt-message-state",
  "x-opt-deadletter-source",
  "x-opt-scheduled-enqueue-time",
]);

interface Header {
  readonly durable: boolean | undefined;
  readonly priority: number | undefined;
  readonly timeToLive: number | undefined;
}

const NO_HEADER: Header = { durable: undefined, priority: undefined, timeToLive: undefined };

/**
 * The messages of a delivery: one, or those of a batch.
 * @throws DecodeError when it is no message
 */
export function readMessages(payload: Buffer, messageFormat: number): IncomingMessage[] {
  if (messageFormat !== BATCH_FORMAT) return [readMessage(payload)];
  const messages: IncomingMessage[] = [];
  const decoder = new Decoder(payload);
  while (!decoder.atEnd) {
    if (decoder.readDescriptor() !== DATA) decoder.skipValue();
    else messages.push(readMessage(decoder.readBinary() ?? Buffer.alloc(0)));
  }
  if (messages.length === 0) throw new DecodeError("a batch has no messages");
  return messages;
}

/** @param bytes an encoded message. `bare` is a view of them; the rest is not */
export function readMessage(bytes: Buffer): IncomingMessage {
  return readInOrder(bytes) ?? readInOrder(sorted(bytes)) ?? misplaced();
}

/** Undefined when the sections are not in the order of AMQP 1.0: Python's client writes the delivery annotations of a message that it sends again after its body. */
function readInOrder(bytes: Buffer): IncomingMessage | undefined {
  const decoder = new Decoder(bytes);
  let header = NO_HEADER;
  let annotations: Map<string, AmqpValue> | undefined;
  let deliveryAnnotations: Map<string, AmqpValue> | undefined;
  let bareAt = 0;
  while (!decoder.atEnd) {
    const descriptor = decoder.readDescriptor();
    if (descriptor === HEADER) header = readHeader(decoder.readValue());
    else if (descriptor === MESSAGE_ANNOTATIONS) annotations = readAnnotations(decoder);
    else if (descriptor === DELIVERY_ANNOTATIONS) deliveryAnnotations = readAnnotations(decoder);
    else break;
    bareAt = decoder.position;
  }
  const bare = withMessageId(bytes.subarray(bareAt));
  if (!bare) return undefined;
  const { durable, priority, timeToLive } = header;
  // Not spread: every message would have a shape of its own then, and everything that reads it be slow.
  return { durable, priority, timeToLive, annotations, deliveryAnnotations, bare };
}

/** The same sections, those of one kind in their order. */
function sorted(bytes: Buffer): Buffer {
  const sections: { readonly descriptor: number; readonly bytes: Buffer }[] = [];
  const decoder = new Decoder(bytes);
  while (!decoder.atEnd) {
    const start = decoder.position;
    const descriptor = decoder.readDescriptor() ?? misplaced();
    decoder.skipValue();
    sections.push({ descriptor, bytes: bytes.subarray(start, decoder.position) });
  }
  return Buffer.concat(sections.sort((a, b) => a.descriptor - b.descriptor).map((section) => section.bytes));
}

function misplaced(): never {
  throw new DecodeError("a message has a section that is none of AMQP 1.0");
}

function readHeader(value: AmqpValue): Header {
  const [durable, priority, timeToLive] = isList(value) ? value : [];
  const asNumber = (field: AmqpValue | undefined): number | undefined => {
    const integer = integerOf(field);
    return integer === undefined ? undefined : Number(integer);
  };
  return { durable: typeof durable === "boolean" ? durable : undefined, priority: asNumber(priority), timeToLive: asNumber(timeToLive) };
}

/** Binaries and UUIDs are views of what they are read from: of a copy, else the message would keep all that came from the network with it. */
function readAnnotations(decoder: Decoder): Map<string, AmqpValue> | undefined {
  const start = decoder.position;
  decoder.skipValue();
  // Nearly every message has an empty map here: nothing of it is kept.
  if (isEmptyMap(decoder.bytes, start, decoder.position)) return undefined;
  const value = new Decoder(keptCopy(decoder.bytes.subarray(start, decoder.position))).readValue();
  if (!isMap(value)) return undefined;
  const annotations = new Map<string, AmqpValue>();
  for (const [key, entry] of value.entries) {
    const name = textOf(key);
    if (name !== undefined) annotations.set(name, entry);
  }
  return annotations;
}

function isEmptyMap(bytes: Buffer, start: number, end: number): boolean {
  const code = bytes[start];
  if (code === MAP_8) return end - start === EMPTY_MAP_8_BYTES && bytes[end - 1] === 0;
  return code === MAP_32 && end - start === EMPTY_MAP_32_BYTES && bytes.readUInt32BE(end - 4) === 0;
}

/**
 * The message with an id, and with nothing else changed. "ServiceBus sets an ID as default, only if the application doesn't set its own"
 * (its team in github.com/Azure/azure-service-bus-java/issues/69); the SDK for JavaScript cannot settle a message without one.
 * Receivers of a message that ends in mid-air would fail for ever: it is refused here, to the one who sends it.
 * Undefined when there is a section that belongs before.
 */
function withMessageId(bare: Buffer): Buffer | undefined {
  const decoder = new Decoder(bare);
  let propertiesAt: number | undefined;
  let hasId = false;
  while (!decoder.atEnd) {
    const descriptor = decoder.readDescriptor();
    if (descriptor === undefined || descriptor < HEADER || descriptor > FOOTER) misplaced();
    if (descriptor < PROPERTIES) return undefined;
    if (descriptor === PROPERTIES) {
      propertiesAt = decoder.position;
      hasId = decoder.readListHead().count > 0 && bare[decoder.position] !== NULL;
      decoder.position = propertiesAt;
    }
    decoder.skipValue();
  }
  if (hasId) return bare;
  const properties = new Decoder(bare, propertiesAt ?? 0);
  const fields = propertiesAt === undefined ? [] : properties.readValue();
  const withId = [randomUUID().replaceAll("-", ""), ...(isList(fields) ? fields.slice(1) : [])];
  return Buffer.concat([encodeValue(described(ulong(BigInt(PROPERTIES)), withId)), bare.subarray(properties.position)]);
}

/** What a receiver gets to know of a lock besides the message. */
export interface LockNote {
  readonly lockedUntil?: number | undefined;
  /** As the delivery annotation x-opt-lock-token, where Go's client finds that of a message received by sequence number. */
  readonly lockToken?: Buffer | undefined;
  /** Whether it is told what is as usual, too: that the message is active, and first entered here. The service tells it those who peek. */
  readonly inFull?: boolean;
  /** Whether it is told where the message first entered even when the numbers are the same: so in every entity that is not sent to. */
  readonly withOrigin?: boolean;
}

const encoder = new Encoder();

/**
 * A message as a receiver gets it: header and annotations written anew, everything else byte for byte as it was sent. Which of them the service writes, its own tests
 * for Python and Go tell to the byte (test_message.py, TestSender_SendAMQPMessageWithMultipleByteSlicesInData).
 */
export function writeMessage(message: StoredMessage, lock: LockNote): Buffer {
  encoder.reset();
  writeHeader(message);
  writeDeliveryAnnotations(message, lock.lockToken);
  encoder.writeDescriptor(MESSAGE_ANNOTATIONS);
  encoder.writeMap(() => writeAnnotations(message, lock));
  encoder.writeRaw(message.bare);
  return encoder.take();
}

function writeHeader(message: StoredMessage): void {
  encoder.writeDescriptor(HEADER);
  encoder.writeList(() => {
    encoder.writeValue(message.durable ?? null);
    encoder.writeValue(message.priority === undefined ? null : { type: "ubyte", value: message.priority });
    if (message.timeToLive === undefined || message.timeToLive > 0xffff_ffff) encoder.writeNull();
    else encoder.writeUint(message.timeToLive);
    // "First acquirer" is left out.
    encoder.writeNull();
    encoder.writeUint(message.deliveryCount);
    return 5;
  });
}

function writeDeliveryAnnotations({ deliveryAnnotations }: StoredMessage, lockToken: Buffer | undefined): void {
  encoder.writeDescriptor(DELIVERY_ANNOTATIONS);
  encoder.writeMap(() => {
    let written = 0;
    for (const [name, value] of deliveryAnnotations ?? []) {
      if (name === LOCK_TOKEN) continue;
      encoder.writeSymbol(name);
      encoder.writeValue(value);
      written += 2;
    }
    if (!lockToken) return written;
    encoder.writeSymbol(LOCK_TOKEN);
    encoder.writeValue({ type: "uuid", value: lockToken });
    return written + 2;
  });
}

function writeAnnotations(message: StoredMessage, { lockedUntil, inFull = false, withOrigin = false }: LockNote): number {
  let written = 0;
  const write = (name: string, value: AmqpValue): void => {
    encoder.writeSymbol(name);
    encoder.writeValue(value);
    written += 2;
  };
  for (const [name, value] of message.annotations ?? []) if (!BROKER_ANNOTATIONS.has(name)) write(name, value);
  write("x-opt-enqueued-time", { type: "timestamp", value: BigInt(message.enqueuedTime) });
  write("x-opt-sequence-number", { type: "long", value: message.sequenceNumber });
  if (inFull || withOrigin || message.hops > 0 || message.enqueuedSequenceNumber !== message.sequenceNumber)
    write("x-opt-enqueue-sequence-number", { type: "long", value: message.enqueuedSequenceNumber });
  if (inFull || message.state !== 0) write("x-opt-message-state", { type: "int", value: message.state });
  if (lockedUntil !== undefined) write("x-opt-locked-until", { type: "timestamp", value: BigInt(Math.floor(lockedUntil)) });
  if (message.deadLetterSource !== undefined) write("x-opt-deadletter-source", message.deadLetterSource);
  if (message.scheduledEnqueueTime !== undefined) {
    write("x-opt-scheduled-enqueue-time", { type: "timestamp", value: BigInt(message.scheduledEnqueueTime) });
  }
  return written;
}
