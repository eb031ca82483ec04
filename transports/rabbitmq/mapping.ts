import type { Message, Options } from "amqplib";
import type { FailureHeaders, NativeProperties, OutgoingMessage } from "../../src/contracts/transport.js";
import { formatDuration } from "../../src/util/duration.js";

/** The names in the broker: those of the user with the prefix before them. */
export class Names {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The fanout exchange of a message type. */
  exchange(messageType: string): string {
    return this.#prefix + messageType;
  }

  queue(endpoint: string): string {
    return this.#prefix + endpoint;
  }

  retryQueue(endpoint: string, delayMs: number): string {
    return `${this.#prefix}${endpoint}.retry.${formatDuration(delayMs)}`;
  }

  suspectQueue(endpoint: string): string {
    return `${this.#prefix}${endpoint}.suspect`;
  }

  /** Holds a note for each suspect that has begun to run alone. */
  runsQueue(endpoint: string): string {
    return `${this.#prefix}${endpoint}.suspect.runs`;
  }

  deadLetterQueue(endpoint: string): string {
    return `${this.#prefix}${endpoint}.dead-letter`;
  }
}

/** What becomes of a message in the broker; `headers` is its table. */
export type PublishProperties = { -readonly [K in keyof Options.Publish]: Options.Publish[K] | undefined };

/** Where a message is published, and how. */
export interface Publish {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly properties: PublishProperties;
  /** The broker gives it back when no queue takes it. */
  readonly mandatory: boolean;
}

/** Holds the partition key while a message is in the broker, which has no field for it. */
export const PARTITION_KEY_HEADER = "tb-partition-key";
/** Tells which of several publishes with the same id the broker gave back. */
export const PUBLISH_HEADER = "tb-publish";

/** The longest text that a property of AMQP holds, in bytes. What is longer stands in the envelope alone. */
const MAX_PROPERTY_BYTES = 255;

/** Before the name of a user's header that the broker would take, or set, for its own. */
const ESCAPE = "tb-header-";

/** Headers that the broker sets, or that steer it: never copied, so that nobody sends by them what the bus did not mean. */
const BROKER_HEADER = /^(?:CC|BCC|x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|x-acquired-count|x-opt-.*)$/;
/** What the broker says of a letter that it dead-lettered itself. */
const DEATH_HEADER = /^x-(?:death|first-death-|last-death-)/;

export function publishOf(message: OutgoingMessage, names: Names): Publish {
  const { to, body, properties, headers } = message;
  const isEvent = "event" in to;
  let table: Record<string, unknown> | undefined;
  for (const name in headers) {
    table ??= {};
    table[BROKER_HEADER.test(name) ? ESCAPE + name : name] = headers[name];
  }
  if (properties.partitionKey !== undefined) {
    table ??= {};
    table[PARTITION_KEY_HEADER] = properties.partitionKey;
  }
  return {
    exchange: isEvent ? names.exchange(to.event) : "",
    routingKey: isEvent ? "" : names.queue(to.endpoint),
    content: bufferOf(body),
    mandatory: !isEvent,
    properties: {
      persistent: true,
      mandatory: !isEvent,
      messageId: fitting(properties.messageId),
      type: fitting(properties.messageType),
      contentType: fitting(properties.contentType),
      correlationId: fitting(properties.correlationId),
      headers: table,
    },
  };
}

/**
 * A copy of a message that was received: body and properties as they came, the headers too, less those of the broker and the failure of an
 * earlier time that `failure` replaces; `withDeath`: those that say why the broker dead-lettered it are kept. Neither an expiry, which would act in the queue it goes to, nor a user id, which must be the
 * sender's, is copied.
 */
export function copyOf(message: Message, queue: string, failure: FailureHeaders, withDeath = false): Publish {
  const given = message.properties;
  const headers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given.headers ?? {})) {
    if (name === PUBLISH_HEADER || (BROKER_HEADER.test(name) && !(withDeath && DEATH_HEADER.test(name)))) continue;
    headers[name] = value;
  }
  Object.assign(headers, failure);
  return {
    exchange: "",
    routingKey: queue,
    content: message.content,
    mandatory: true,
    properties: {
      persistent: true,
      mandatory: true,
      priority: given.priority,
      contentType: given.contentType,
      contentEncoding: given.contentEncoding,
      correlationId: given.correlationId,
      replyTo: given.replyTo,
      messageId: given.messageId,
      timestamp: given.timestamp,
      type: given.type,
      appId: given.appId,
      headers,
    },
  };
}

/** A dead letter as it was before it failed: a copy without what the bus and the broker have written on it since. */
export function replayOf(message: Message, queue: string): Publish {
  const copy = copyOf(message, queue, {});
  const headers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(copy.properties.headers ?? {})) {
    if (!name.startsWith("tb-") || name === PARTITION_KEY_HEADER || name.startsWith(ESCAPE)) headers[name] = value;
  }
  return { ...copy, properties: { ...copy.properties, headers } };
}

/** The properties that were there. */
export function propertiesOf(message: Message): Partial<NativeProperties> {
  const { messageId, type, contentType, correlationId, headers } = message.properties;
  const partitionKey: unknown = headers?.[PARTITION_KEY_HEADER];
  return {
    ...(typeof messageId === "string" && { messageId }),
    ...(typeof type === "string" && { messageType: type }),
    ...(typeof contentType === "string" && { contentType }),
    ...(typeof correlationId === "string" && { correlationId }),
    ...(typeof partitionKey === "string" && { partitionKey }),
  };
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * The headers as text, without those of the adapter and of the broker. `withDeath`: of dead letters, those that say why the broker put
 * a letter there are told.
 */
export function headersOf(message: Message, withDeath: boolean): Readonly<Record<string, string>> {
  const table = message.properties.headers;
  if (table === undefined) return NO_HEADERS;
  let headers: Record<string, string> | undefined;
  for (const name of Object.keys(table)) {
    if (name === PARTITION_KEY_HEADER || name === PUBLISH_HEADER || name === "__proto__") continue;
    if (BROKER_HEADER.test(name) && !(withDeath && DEATH_HEADER.test(name))) continue;
    headers ??= {};
    headers[name.startsWith(ESCAPE) ? name.slice(ESCAPE.length) : name] = asText(table[name]);
  }
  return headers ?? NO_HEADERS;
}

/** How often the broker has given the message out before, as far as it counts; only the broker's own word is taken. */
export function deliveryCountOf(message: Message): number {
  // On a first delivery the broker sets no count, so what stands there then is the sender's.
  if (!message.fields.redelivered) return 0;
  const count: unknown = message.properties.headers?.["x-delivery-count"];
  return typeof count === "number" && Number.isFinite(count) ? count : 0;
}

function asText(value: unknown): string {
  if (typeof value === "string") return value;
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
  } catch {
    return "(a value that cannot be written as text)";
  }
}

function fitting(text: string): string | undefined {
  return text.length <= MAX_PROPERTY_BYTES / 3 || Buffer.byteLength(text) <= MAX_PROPERTY_BYTES ? text : undefined;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
