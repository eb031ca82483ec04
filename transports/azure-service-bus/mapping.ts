import { createHash, randomInt } from "node:crypto";
import type { ServiceBusMessage, ServiceBusReceivedMessage } from "@azure/service-bus";
import type { FailureHeaders, NativeProperties, OutgoingMessage } from "../../src/contracts/transport.js";
import type { OutgoingServiceBusMessage } from "./message-encoder.js";

/** The names in the namespace: those of the user with the prefix before them, but for subscriptions, whose topic has it. */
export class Names {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The topic of a message type. */
  topic(messageType: string): string {
    return this.#prefix + messageType;
  }

  queue(endpoint: string): string {
    return this.#prefix + endpoint;
  }

  suspectQueue(endpoint: string): string {
    return `${this.#prefix}${endpoint}.suspect`;
  }

  /** In each topic; at most 50 characters, as endpoint names have. */
  subscription(endpoint: string): string {
    return endpoint;
  }

  /** Whether a topic may be ours, and then its message type. */
  typeOf(topic: string): string | undefined {
    return topic.startsWith(this.#prefix) ? topic.slice(this.#prefix.length) : undefined;
  }
}

/** Where a message goes, and how. */
export interface Send {
  /** A queue or a topic. */
  readonly entity: string;
  readonly isEvent: boolean;
  readonly message: OutgoingServiceBusMessage;
  /** What keeps its order with others of the same key. */
  readonly key: string | undefined;
}

/** Holds the partition key while a message is in the broker: the session id is only the bucket it falls into. */
export const PARTITION_KEY = "tb-partition-key";
/** Holds the message's own id where the one in the broker is another: copies have ids of their own, else duplicate detection would drop them. */
export const MESSAGE_ID = "tb-message-id";
/** How often the message was given back on purpose: the broker counts that as a delivery that failed. */
export const RELEASED = "tb-released";

/** Ordered endpoints take turns by session, and a key's session is always the same. For ever: another number would reorder what waits at an upgrade. */
export const SESSIONS = 32;
/** The longest id that the service takes. */
const MAX_ID_LENGTH = 128;

/** Properties of ours that are nobody else's. */
const OWN = new Set([PARTITION_KEY, MESSAGE_ID, RELEASED, "DeadLetterReason", "DeadLetterErrorDescription"]);

export function sendOf(message: OutgoingMessage, names: Names): Send {
  const { to, body, properties, headers } = message;
  const isEvent = "event" in to;
  const { messageId, partitionKey } = properties;
  const applicationProperties: Record<string, string> = { ...headers };
  if (partitionKey !== undefined) applicationProperties[PARTITION_KEY] = partitionKey;
  const nativeId = fittingId(messageId);
  if (nativeId !== messageId) applicationProperties[MESSAGE_ID] = messageId;
  return {
    entity: isEvent ? names.topic(to.event) : names.queue(to.endpoint),
    isEvent,
    key: partitionKey,
    message: {
      body: bufferOf(body),
      messageId: nativeId,
      subject: properties.messageType,
      contentType: properties.contentType,
      ...(properties.correlationId === "" ? {} : { correlationId: properties.correlationId }),
      // On every message: whether an ordered endpoint gets it, and needs a session, its publisher does not know.
      sessionId: sessionOf(partitionKey),
      applicationProperties,
    },
  };
}

/** The session of a key: FNV-1a over its UTF-8 bytes, modulo {@link SESSIONS}. Without a key any will do. */
export function sessionOf(partitionKey: string | undefined): string {
  if (partitionKey === undefined) return String(randomInt(SESSIONS));
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(partitionKey)) hash = Math.imul(hash ^ byte, 0x01000193);
  return String((hash >>> 0) % SESSIONS);
}

/** What is to be told from the message that it copies. */
export interface CopyOptions {
  /** Distinguishes the copy's id from that of the message, and of other copies. */
  readonly suffix: string;
  /** It arrives then. @default at once */
  readonly at?: Date;
}

/**
 * A copy of a message that was received: body and properties as they came, less the failure of an earlier time that `failure` replaces and less
 * what counts for that arrival alone. Neither a time to live, which would act in the queue it goes to, is copied, nor the id: see {@link MESSAGE_ID}.
 */
export function copyOf(message: ServiceBusReceivedMessage, entity: string, failure: FailureHeaders, { suffix, at }: CopyOptions): Send {
  const applicationProperties: NonNullable<ServiceBusMessage["applicationProperties"]> = {};
  for (const [name, value] of Object.entries(message.applicationProperties ?? {})) {
    if (name !== RELEASED && name !== "DeadLetterReason" && name !== "DeadLetterErrorDescription") applicationProperties[name] = value;
  }
  const id = logicalIdOf(message);
  if (id !== undefined) applicationProperties[MESSAGE_ID] = id;
  Object.assign(applicationProperties, failure);
  const { partitionKey } = propertiesOf(message);
  return {
    entity,
    isEvent: false,
    key: undefined,
    message: {
      body: bodyOf(message),
      messageId: copyId(id ?? String(message.sequenceNumber), suffix),
      ...(message.subject === undefined ? {} : { subject: message.subject }),
      ...(message.contentType === undefined ? {} : { contentType: message.contentType }),
      ...(message.correlationId === undefined ? {} : { correlationId: message.correlationId }),
      ...(message.replyTo === undefined ? {} : { replyTo: message.replyTo }),
      ...(message.to === undefined ? {} : { to: message.to }),
      sessionId: sessionIdOf(message) ?? sessionOf(partitionKey),
      applicationProperties,
      ...(at && { scheduledEnqueueTimeUtc: at }),
    },
  };
}

/**
 * A dead letter as it was before it failed: a copy with its own id and the headers of the replay, which are those that it came with, less what the bus has written. As it
 * came also where it was no text, and where the port has no field for it.
 */
export function replayOf({ headers, properties }: OutgoingMessage, letter: ServiceBusReceivedMessage, queue: string): Send {
  const copy = copyOf(letter, queue, {}, { suffix: "" });
  const given = copy.message.applicationProperties;
  const applicationProperties: NonNullable<ServiceBusMessage["applicationProperties"]> = {};
  for (const [name, value] of Object.entries(given ?? {}))
    if (name === PARTITION_KEY || Object.hasOwn(headers, name)) applicationProperties[name] = value;
  const id = logicalIdOf(letter) ?? String(letter.sequenceNumber);
  const messageId = fittingId(id);
  if (messageId !== id) applicationProperties[MESSAGE_ID] = id;
  return { ...copy, key: properties.partitionKey, message: { ...copy.message, messageId, applicationProperties } };
}

/** The properties that were there. */
export function propertiesOf(message: ServiceBusReceivedMessage): Partial<NativeProperties> {
  const { subject, contentType, correlationId, applicationProperties } = message;
  const messageId = logicalIdOf(message);
  const partitionKey: unknown = applicationProperties?.[PARTITION_KEY];
  const properties: { -readonly [P in keyof NativeProperties]?: NativeProperties[P] } = {};
  if (messageId !== undefined) properties.messageId = messageId;
  if (typeof subject === "string") properties.messageType = subject;
  if (typeof contentType === "string") properties.contentType = contentType;
  if (typeof correlationId === "string") properties.correlationId = correlationId;
  if (typeof partitionKey === "string") properties.partitionKey = partitionKey;
  return properties;
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * The application properties as text, without those of the adapter. `isDeadLetter`: of a letter that the broker put there itself, its reason
 * and description are told as name and text of the error.
 */
export function headersOf(message: ServiceBusReceivedMessage, isDeadLetter: boolean): Readonly<Record<string, string>> {
  let headers: Record<string, string> | undefined;
  const given = message.applicationProperties;
  for (const name in given) {
    if (OWN.has(name) || name === "__proto__") continue;
    headers ??= {};
    headers[name] = asText(given[name]);
  }
  const { deadLetterReason: reason, deadLetterErrorDescription: description } = message;
  if (isDeadLetter && typeof reason === "string" && headers?.["tb-reason"] === undefined) {
    headers = { ...headers, "tb-error-name": reason, ...(typeof description === "string" && { "tb-error-message": description }) };
  }
  return headers ?? NO_HEADERS;
}

/** The bytes of the body; what another client wrote as a value or a sequence becomes its text. */
export function bodyOf(message: ServiceBusReceivedMessage): Uint8Array {
  const body: unknown = message.body;
  if (body instanceof Uint8Array) return body;
  if (Array.isArray(body) && body.every((part) => part instanceof Uint8Array)) return Buffer.concat(body);
  return Buffer.from(body === undefined || body === null ? "" : asText(body));
}

/**
 * Takes the session id from a message that did not come by a session: the client would refuse to settle it once its link is gone, since it takes
 * every message with such an id for one of a session that it held. The id says nothing that the partition key does not.
 */
export function withoutSession(message: ServiceBusReceivedMessage): ServiceBusReceivedMessage {
  // Not deleted: of an object that a property was deleted from, each other is found more slowly.
  (message as { sessionId: string | undefined }).sessionId = undefined;
  return message;
}

/** As it was before {@link withoutSession}. */
function sessionIdOf({ sessionId, _rawAmqpMessage: raw }: ServiceBusReceivedMessage): string | undefined {
  const id: unknown = sessionId ?? raw?.properties?.groupId;
  return typeof id === "string" ? id : undefined;
}

/** How often the message was given out before and neither settled nor given back on purpose, as far as the broker counts. */
export function failedDeliveriesOf(message: ServiceBusReceivedMessage): number {
  const count: unknown = message.deliveryCount;
  const before = typeof count === "number" && Number.isFinite(count) ? count : 0;
  return Math.max(0, before - releasesOf(message));
}

/** How often the message was given back on purpose; anybody may have written it. */
export function releasesOf(message: ServiceBusReceivedMessage): number {
  const given: unknown = message.applicationProperties?.[RELEASED];
  const count = typeof given === "number" ? given : typeof given === "string" ? Number(given) : 0;
  return Number.isSafeInteger(count) && count >= 0 ? count : 0;
}

/** Unique in its queue, and the same at each delivery. */
export function sequenceOf(message: ServiceBusReceivedMessage): string {
  return message.sequenceNumber?.toString() ?? "";
}

function logicalIdOf(message: ServiceBusReceivedMessage): string | undefined {
  const kept: unknown = message.applicationProperties?.[MESSAGE_ID];
  if (typeof kept === "string") return kept;
  const id: unknown = message.messageId;
  if (id === undefined || id === null) return undefined;
  return typeof id === "string" ? id : Buffer.isBuffer(id) ? id.toString("hex") : String(id);
}

function fittingId(id: string): string {
  return id.length <= MAX_ID_LENGTH ? id : createHash("sha256").update(id).digest("hex");
}

function copyId(id: string, suffix: string): string {
  return id.length + suffix.length + 1 <= MAX_ID_LENGTH ? `${id}:${suffix}` : `${createHash("sha256").update(id).digest("hex")}:${suffix}`;
}

function asText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
  } catch {
    return "(a value that cannot be written as text)";
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
