import type { FailureHeaders, NativeProperties, OutgoingMessage } from "../../src/contracts/transport.js";
import { formatDuration, parseDuration } from "../../src/util/duration.js";
import type { HeaderValue, RecordContent } from "./driver.js";

/** The names in the broker: those of the user with the prefix before them. */
export class Names {
  readonly #prefix: string;
  readonly #topics: Readonly<Record<string, string>>;

  /** @param topics the types that do not stand on a topic of their own name, with their topic */
  constructor(prefix: string, topics: Readonly<Record<string, string>>) {
    this.#prefix = prefix;
    this.#topics = topics;
  }

  /** Where the events of a type are. */
  topicOfType(messageType: string): string {
    return this.#prefix + (Object.hasOwn(this.#topics, messageType) ? this.#topics[messageType] : messageType);
  }

  /** Where the commands to an endpoint are. */
  topicOfEndpoint(endpoint: string): string {
    return this.#prefix + endpoint;
  }

  retryTopic(endpoint: string, delayMs: number): string {
    return `${this.#prefix}${endpoint}.retry.${formatDuration(delayMs)}`;
  }

  /** The delay of a retry topic of this endpoint; `undefined` for every other topic, also when it only looks like one. */
  retryDelayOf(endpoint: string, topic: string): number | undefined {
    const start = `${this.#prefix}${endpoint}.retry.`;
    if (!topic.startsWith(start)) return undefined;
    const ending = topic.slice(start.length);
    return /^\d{1,12}(?:ms|s|m|h|d)$/.test(ending) ? parseDuration(ending) : undefined;
  }

  deadLetterTopic(endpoint: string): string {
    return `${this.#prefix}${endpoint}.dead-letter`;
  }

  /** The consumer group of an endpoint. */
  groupOf(endpoint: string): string {
    return this.#prefix + endpoint;
  }
}

/** A record on its way out; the sender chooses the partition. */
export interface RecordToSend extends RecordContent {
  readonly topic: string;
  /** A command: when nobody has made its topic it is refused as `unroutable`. */
  readonly mandatory: boolean;
  /** Of something that lies in Kafka already, which somebody may have sent compressed: one that is too large as it is may fit when it is compressed too. */
  readonly isCopy?: boolean;
}

const MESSAGE_ID = "message-id";
const MESSAGE_TYPE = "message-type";
/** The type of a CloudEvent in binary mode, as others send it (https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md). */
const CLOUD_EVENT_TYPE = "ce_type";
const CONTENT_TYPE = "content-type";
const CORRELATION_ID = "correlation-id";
const OWN_HEADERS: ReadonlySet<string> = new Set([MESSAGE_ID, MESSAGE_TYPE, CONTENT_TYPE, CORRELATION_ID]);
/** When a record of a retry topic is due, in milliseconds since 1970, as text. */
export const DUE_HEADER = "tb-due";
/** Before the name of a user's header that has the name of one of ours. */
const ESCAPE = "tb-header-";

export function recordOf(message: OutgoingMessage, names: Names): RecordToSend {
  const { to, body, properties } = message;
  const headers: Record<string, string> = {
    [CONTENT_TYPE]: properties.contentType,
    [MESSAGE_ID]: properties.messageId,
    [MESSAGE_TYPE]: properties.messageType,
    [CORRELATION_ID]: properties.correlationId,
  };
  for (const name in message.headers) {
    headers[OWN_HEADERS.has(name) ? ESCAPE + name : name] = message.headers[name] ?? "";
  }
  const isEvent = "event" in to;
  return {
    topic: isEvent ? names.topicOfType(to.event) : names.topicOfEndpoint(to.endpoint),
    key: properties.partitionKey === undefined ? null : Buffer.from(properties.partitionKey),
    value: bufferOf(body),
    headers,
    mandatory: !isEvent,
  };
}

/** A copy of a record that was received, with key, value and headers as they came, and `failure` in place of that of an earlier time; without {@link DUE_HEADER}. */
export function copyOf(record: RecordContent, topic: string, failure: FailureHeaders): RecordToSend {
  const { [DUE_HEADER]: _, ...headers } = record.headers;
  return { topic, key: record.key, value: record.value, headers: { ...headers, ...failure }, mandatory: false, isCopy: true };
}

/** The properties that were there, from whomever. The core reads one of them as a rule, so each is made text when it is asked for. */
export function propertiesOf(record: RecordContent): Partial<NativeProperties> {
  return new RecordProperties(record) as Partial<NativeProperties>;
}

class RecordProperties {
  readonly #record: RecordContent;

  constructor(record: RecordContent) {
    this.#record = record;
  }

  get messageId(): string | undefined {
    return this.#textOf(MESSAGE_ID);
  }
  get messageType(): string | undefined {
    const { headers } = this.#record;
    return messageTypes.textOf(headers[MESSAGE_TYPE] ?? headers[CLOUD_EVENT_TYPE]);
  }
  get contentType(): string | undefined {
    return contentTypes.textOf(this.#record.headers[CONTENT_TYPE]);
  }
  get correlationId(): string | undefined {
    return this.#textOf(CORRELATION_ID);
  }
  get partitionKey(): string | undefined {
    const { key } = this.#record;
    return key === null ? undefined : textIfUtf8(key);
  }

  #textOf(name: string): string | undefined {
    const value = this.#record.headers[name];
    return value === undefined ? undefined : textOfHeader(value);
  }
}

/** Nearly all records have the same text in a header as the one before: it is compared rather than made anew. */
class SameText {
  #bytes: Buffer = Buffer.alloc(0);
  #text = "";

  textOf(value: HeaderValue | undefined): string | undefined {
    if (!Buffer.isBuffer(value)) return value === undefined ? undefined : textOfHeader(value);
    if (!value.equals(this.#bytes)) {
      // A copy: what was received is a part of a whole fetch.
      this.#bytes = Buffer.from(value);
      this.#text = textOfHeader(value);
    }
    return this.#text;
  }
}
const contentTypes = new SameText();
const messageTypes = new SameText();

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** The headers as text, without those that {@link propertiesOf} tells. Of several values under one name the last counts, as for the bus's own writers. */
export function headersOf(record: RecordContent): Readonly<Record<string, string>> {
  let headers: Record<string, string> | undefined;
  for (const name in record.headers) {
    if (OWN_HEADERS.has(name)) continue;
    const value = record.headers[name];
    if (value === undefined || name === "__proto__" || name === DUE_HEADER) continue;
    headers ??= {};
    headers[name.startsWith(ESCAPE) ? name.slice(ESCAPE.length) : name] = textOfHeader(value);
  }
  return headers ?? NO_HEADERS;
}

const NOTHING = Buffer.alloc(0);

/** The body that the core reads; a tombstone has an empty one. */
export function bodyOf(record: RecordContent): Uint8Array {
  return record.value ?? NOTHING;
}

/** A header as text; of several values under one name the last. */
export function textOfHeader(value: HeaderValue): string {
  if (typeof value === "string") return value;
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  const last = value.at(-1);
  return last === undefined ? "" : typeof last === "string" ? last : last.toString("utf8");
}

function textIfUtf8(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  // Bytes that are no UTF-8 become U+FFFD, which then differs from what was there.
  return text.includes("\uFFFD") && !Buffer.from(text).equals(bytes) ? undefined : text;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
