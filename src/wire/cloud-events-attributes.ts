import type { Envelope } from "../contracts/wire-format.js";
import { UndecodableError } from "./undecodable-error.js";

/** The attributes of a CloudEvent as they came: anything. */
export type Attributes = Readonly<Record<string, unknown>>;

const MAX_ID_LENGTH = 128;
const MAX_TYPE_LENGTH = 200;
const MAX_SOURCE_LENGTH = 2048;
/** That of W3C's `tracestate`. */
const MAX_TRACE_LENGTH = 512;

/**
 * The envelope of an event with these attributes and this `data`.
 *
 * `specversion`, `id` (1 to 128 characters), `type` (1 to 200) and `source` must be there. `time` is RFC 3339; absent it is now. `correlationid`
 * is by default the id, `conversationid` the correlation; these, `causationid` and `partitionkey` have at most 128 characters. As CloudEvents
 * says, `null` is absent; so is empty text. Trace context that is too long is dropped, as W3C allows: no message is lost for it.
 * @throws UndecodableError naming the attribute.
 */
export function envelopeOf(attributes: Attributes, data: unknown): Envelope {
  // Each is read by its own name here: a function that reads whichever it is told takes a third longer.
  if (attributes["specversion"] !== "1.0") {
    throw new UndecodableError(`The CloudEvent's "specversion" is ${shown(attributes["specversion"])}; only "1.0" is read.`);
  }
  const messageId = required("id", attributes["id"], MAX_ID_LENGTH);
  const messageType = required("type", attributes["type"], MAX_TYPE_LENGTH);
  const source = required("source", attributes["source"], MAX_SOURCE_LENGTH);
  const sentAt = timeOf(attributes["time"]);
  const dataType = attributes["datacontenttype"];
  if (dataType !== "application/json") optional("datacontenttype", dataType, MAX_SOURCE_LENGTH);
  const correlationId = idLike(messageId, "correlationid", attributes["correlationid"]);
  return {
    messageId,
    messageType,
    source,
    sentAt,
    correlationId,
    conversationId: idLike(correlationId, "conversationid", attributes["conversationid"]),
    causationId: optional("causationid", attributes["causationid"], MAX_ID_LENGTH),
    partitionKey: optional("partitionkey", attributes["partitionkey"], MAX_ID_LENGTH),
    traceparent: traceContext("traceparent", attributes["traceparent"]),
    tracestate: traceContext("tracestate", attributes["tracestate"]),
    data,
  };
}

/** `known`, which was looked at before, where the attribute has nothing else: with most messages that begin a conversation. */
function idLike(known: string, name: string, value: unknown): string {
  return value === known ? known : (optional(name, value, MAX_ID_LENGTH) ?? known);
}

function required(name: string, value: unknown, maxLength: number): string {
  const text = optional(name, value, maxLength);
  if (text === undefined)
    throw new UndecodableError(`The CloudEvent has no "${name}", which must be text of 1 to ${maxLength} characters.`);
  return text;
}

function optional(name: string, value: unknown, maxLength: number): string | undefined {
  const text = textOf(name, value);
  if (text !== undefined && text.length > maxLength) {
    throw new UndecodableError(`The CloudEvent's "${name}" has ${text.length} characters; at most ${maxLength} are allowed.`);
  }
  return text;
}

function traceContext(name: string, value: unknown): string | undefined {
  const text = textOf(name, value);
  return text !== undefined && text.length > MAX_TRACE_LENGTH ? undefined : text;
}

/** Nearly every value is printable ASCII, which is quicker to see than that no character is forbidden. */
const PRINTABLE_ASCII = /^[ -~]*$/;
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u;

/** Control characters and unpaired surrogates, which CloudEvents forbids in the text of an attribute. */
export function holdsForbiddenCharacters(text: string): boolean {
  return !PRINTABLE_ASCII.test(text) && FORBIDDEN.test(text);
}

function textOf(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") throw new UndecodableError(`The CloudEvent's "${name}" is ${shown(value)}, not text.`);
  if (holdsForbiddenCharacters(value)) {
    throw new UndecodableError(`The CloudEvent's "${name}" holds control characters or half a surrogate pair: ${shown(value)}.`);
  }
  return value;
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,20})?(?:Z|[+-]\d\d:\d\d)$/i;

let lastTimeText = "";
let lastTime = 0;

/** Messages that were sent in one millisecond arrive one after the other: their text is read once. */
function timeOf(value: unknown): Date {
  if (value === undefined || value === null || value === "") return new Date();
  if (value === lastTimeText) return new Date(lastTime);
  const time = typeof value === "string" && RFC3339.test(value) ? Date.parse(value.toUpperCase()) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new UndecodableError(`The CloudEvent's "time" is ${shown(value)}, not a time as RFC 3339 has it ("2026-01-31T12:00:00Z").`);
  }
  lastTimeText = value as string;
  lastTime = time;
  return new Date(time);
}

/** Short and on one line, for an error's text; never throws. */
function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}
