import { Decoder } from "../amqp/decoder.js";
import { encodeValue } from "../amqp/encoder.js";
import { type AmqpValue, described, isList, isMap, map, textOf, ulong } from "../amqp/values.js";

/** Numeric descriptors of the sections (AMQP 1.0 part 3, section 3.2). */
const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;

/** Places of the fields in the properties section (AMQP 1.0 part 3, section 3.2.4). */
export const PropertyIndex = {
  messageId: 0,
  userId: 1,
  to: 2,
  subject: 3,
  replyTo: 4,
  correlationId: 5,
  contentType: 6,
  contentEncoding: 7,
  absoluteExpiryTime: 8,
  creationTime: 9,
  groupId: 10,
  groupSequence: 11,
  replyToGroupId: 12,
} as const;

interface Section {
  readonly start: number;
  /** Where the section's value starts, after its descriptor. */
  readonly valueAt: number;
  readonly end: number;
}

interface Sections {
  readonly properties: Section | undefined;
  readonly applicationProperties: Section | undefined;
  /** Where the body starts. */
  readonly bodyAt: number;
}

function locate(bare: Buffer): Sections {
  const decoder = new Decoder(bare);
  let properties: Section | undefined;
  let applicationProperties: Section | undefined;
  while (!decoder.atEnd) {
    const start = decoder.position;
    const descriptor = decoder.readDescriptor();
    if (descriptor !== PROPERTIES && descriptor !== APPLICATION_PROPERTIES) return { properties, applicationProperties, bodyAt: start };
    const valueAt = decoder.position;
    decoder.skipValue();
    const section = { start, valueAt, end: decoder.position };
    if (descriptor === PROPERTIES) properties = section;
    else applicationProperties = section;
  }
  return { properties, applicationProperties, bodyAt: bare.length };
}

/** The fields of the properties section in their order; shorter when the last ones are not there. */
export function readProperties(bare: Buffer): readonly AmqpValue[] {
  const { properties } = locate(bare);
  const value = properties && new Decoder(bare, properties.valueAt).readValue();
  return isList(value) ? value : [];
}

/** Null when there is none. @throws DecodeError (of src/amqp) when `bare` does not start with sections of a message. */
export function readMessageId(bare: Buffer): AmqpValue {
  return readProperty(bare, PropertyIndex.messageId);
}

/** @throws DecodeError (of src/amqp) when `bare` does not start with sections of a message. */
export function readSessionId(bare: Buffer): string | undefined {
  return textOf(readProperty(bare, PropertyIndex.groupId));
}

/** One of the properties, without decoding the rest. */
function readProperty(bare: Buffer, index: number): AmqpValue {
  const { properties } = locate(bare);
  if (!properties) return null;
  const decoder = new Decoder(bare, properties.valueAt);
  const { count } = decoder.readListHead();
  if (count <= index) return null;
  for (let at = 0; at < index; at++) decoder.skipValue();
  return decoder.readValue();
}

/** The application properties with their AMQP types. */
export function readApplicationProperties(bare: Buffer): Map<string, AmqpValue> {
  const properties = new Map<string, AmqpValue>();
  const { applicationProperties } = locate(bare);
  const value = applicationProperties && new Decoder(bare, applicationProperties.valueAt).readValue();
  if (!isMap(value)) return properties;
  for (const [key, entry] of value.entries) {
    const name = textOf(key);
    if (name !== undefined) properties.set(name, entry);
  }
  return properties;
}

/** Changes to application properties: `undefined` removes one. */
export type PropertyChanges = ReadonlyMap<string, AmqpValue | undefined>;

/** The message with some application properties set or removed; all other bytes of it stay as they are. */
export function withApplicationProperties(bare: Buffer, changes: PropertyChanges): Buffer {
  if (changes.size === 0) return bare;
  const sections = locate(bare);
  const properties = readApplicationProperties(bare);
  for (const [name, value] of changes) {
    if (value === undefined) properties.delete(name);
    else properties.set(name, value);
  }
  const from = sections.applicationProperties?.start ?? sections.bodyAt;
  const to = sections.applicationProperties?.end ?? sections.bodyAt;
  const section =
    properties.size > 0 ? encodeValue(described(ulong(BigInt(APPLICATION_PROPERTIES)), map([...properties]))) : Buffer.alloc(0);
  return Buffer.concat([bare.subarray(0, from), section, bare.subarray(to)]);
}

/** The message with other fields in its properties section; all other bytes of it stay as they are. */
export function withProperties(bare: Buffer, fields: readonly AmqpValue[]): Buffer {
  const { properties } = locate(bare);
  const section = encodeValue(described(ulong(BigInt(PROPERTIES)), [...fields]));
  return Buffer.concat([section, bare.subarray(properties?.end ?? 0)]);
}

/** Bytes of what precedes the body: what Azure limits to 64 KB. */
export function headerSize(bare: Buffer): number {
  return locate(bare).bodyAt;
}
