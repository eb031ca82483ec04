import { Buffer } from "node:buffer";
import type { NativeProperties } from "../contracts/transport.js";
import type { Envelope, WireFormat } from "../contracts/wire-format.js";
import { InvalidMessageError } from "../errors.js";
import { type Attributes, envelopeOf, holdsForbiddenCharacters } from "./cloud-events-attributes.js";
import { encodeJson, parseJson } from "./safe-json.js";
import { UndecodableError } from "./undecodable-error.js";
import { utf8Bytes } from "./utf8-bytes.js";

const STRUCTURED = "application/cloudevents+json";

/** As the bindings of HTTP, Kafka and AMQP 1.0 spell an attribute in a header, lower case. */
const HEADER_PREFIXES: readonly string[] = ["ce-", "ce_", "cloudevents:", "cloudevents_"];

/**
 * CloudEvents 1.0 in JSON. Written in structured mode: one document with the metadata as attributes and the payload as `data`.
 * Read in structured mode and in binary mode (content type `application/json` or `...+json`, the attributes in headers).
 * A body without content type is read as binary when it has a `ce-specversion` header, else as structured.
 *
 * Encoding throws `InvalidMessageError` for what decoding would refuse; decoding throws `UndecodableError` and nothing else. A byte order mark is skipped; what is not UTF-8 is refused.
 */
export const cloudEvents: WireFormat = {
  name: "cloudevents",
  contentTypes: [STRUCTURED, "application/json"],
  encode,
  decode,
};

function encode(envelope: Envelope): { readonly contentType: string; readonly body: Uint8Array } {
  const { messageId, correlationId, conversationId } = envelope;
  // Of a message that begins a conversation the three are one.
  const id = quote("id", messageId);
  const correlation = correlationId === messageId ? id : quote("correlationid", correlationId);
  const conversation = conversationId === correlationId ? correlation : quote("conversationid", conversationId);
  // An object literal given to JSON.stringify costs three times as much, and would encode `data` a second time.
  let text = `{"specversion":"1.0","id":${id}${originOf(envelope)}${correlation},"conversationid":${conversation}`;
  if (envelope.causationId !== undefined) text += `,"causationid":${quote("causationid", envelope.causationId)}`;
  if (envelope.partitionKey !== undefined) text += `,"partitionkey":${quote("partitionkey", envelope.partitionKey)}`;
  if (envelope.traceparent !== undefined) text += `,"traceparent":${quote("traceparent", envelope.traceparent)}`;
  if (envelope.tracestate !== undefined) text += `,"tracestate":${quote("tracestate", envelope.tracestate)}`;
  text += `,"data":${envelope.dataText ?? encodeJson(envelope.data)}}`;
  return { contentType: STRUCTURED, body: utf8Bytes(text) };
}

function decode(body: Uint8Array, properties: Partial<NativeProperties>, headers: Readonly<Record<string, string>>): Envelope {
  const contentType = properties.contentType ?? "";
  if (contentType === STRUCTURED || isStructured(contentType, headers)) return decodeStructured(textOf(body));
  if (isJson(contentType) || contentType === "") return decodeBinary(textOf(body), headers);
  throw new UndecodableError(`The content type "${cut(contentType)}" is not one that CloudEvents in JSON are read from.`);
}

function isStructured(contentType: string, headers: Readonly<Record<string, string>>): boolean {
  if (contentType === "") return attributesIn(headers)["specversion"] === undefined;
  return mediaType(contentType) === STRUCTURED;
}

function decodeStructured(text: string): Envelope {
  const document = parseJson(text);
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new UndecodableError(
      `The body is ${kindOf(document)}, not a CloudEvent: a JSON object with "specversion", "id", "source", "type" and "data".`,
    );
  }
  const attributes = document as Attributes;
  return envelopeOf(attributes, dataOf(attributes));
}

function decodeBinary(text: string, headers: Readonly<Record<string, string>>): Envelope {
  const attributes = attributesIn(headers);
  if (attributes["specversion"] === undefined) {
    throw new UndecodableError(
      'The body is plain JSON and no header "ce-specversion" makes it a CloudEvent in binary mode. ' +
        `One in structured mode has the content type "${STRUCTURED}".`,
    );
  }
  return envelopeOf(attributes, parseJson(text));
}

function dataOf(document: Attributes): unknown {
  const encoded = document["data_base64"];
  if (encoded === undefined || encoded === null) return document["data"];
  if (document["data"] !== undefined) throw new UndecodableError('The CloudEvent has both "data" and "data_base64".');
  const contentType = document["datacontenttype"];
  if (typeof encoded !== "string" || typeof contentType !== "string" || !isJson(contentType)) {
    throw new UndecodableError(
      'The CloudEvent carries "data_base64" whose "datacontenttype" is not JSON. Messages are JSON: send the payload as "data".',
    );
  }
  return parseJson(textOf(Buffer.from(encoded, "base64")));
}

function attributesIn(headers: Readonly<Record<string, string>>): Attributes {
  const attributes: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(headers)) {
    const lowerCase = name.toLowerCase();
    const prefix = HEADER_PREFIXES.find((candidate) => lowerCase.startsWith(candidate));
    if (prefix !== undefined) attributes[lowerCase.slice(prefix.length)] = headers[name];
  }
  return attributes;
}

/** `fatal`: broken UTF-8 would otherwise be replaced by question marks and handled as if it had been sent so. */
const decoder = new TextDecoder("utf-8", { fatal: true });

function textOf(body: Uint8Array): string {
  try {
    return decoder.decode(body);
  } catch (error) {
    throw new UndecodableError("The body is not UTF-8.", error);
  }
}

function isJson(contentType: string): boolean {
  const type = mediaType(contentType);
  // A batch is several events in one body, and one delivery is one message.
  return type === "application/json" || type === "text/json" || (type.endsWith("+json") && !type.startsWith("application/cloudevents"));
}

function mediaType(contentType: string): string {
  const end = contentType.indexOf(";");
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** What needs no escaping, which is nearly everything: testing costs half of what JSON.stringify does. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quote(name: string, text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  const json = JSON.stringify(text);
  if (!holdsForbiddenCharacters(text)) return json;
  throw new InvalidMessageError(
    `The attribute "${name}" of the message is ${cut(json)}: control characters and half surrogate pairs, which no receiver takes, must go.`,
    { cause: undefined, issues: [] },
  );
}

let lastSource = "";
let lastType = "";
let lastTime = Number.NaN;
let lastOrigin = "";

/** Many messages of one type leave within one millisecond, and making the text of the time costs as much as all the rest of the attributes. */
function originOf({ source, messageType, sentAt }: Envelope): string {
  const ms = sentAt.getTime();
  if (ms !== lastTime || messageType !== lastType || source !== lastSource) {
    lastOrigin = `,"source":${quote("source", source)},"type":${quote("type", messageType)},"time":"${sentAt.toISOString()}","datacontenttype":"application/json","correlationid":`;
    lastSource = source;
    lastType = messageType;
    lastTime = ms;
  }
  return lastOrigin;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
