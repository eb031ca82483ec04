import { AmqpError, DecodeError } from "../amqp/amqp-error.js";
import { Decoder } from "../amqp/decoder.js";
import { Encoder } from "../amqp/encoder.js";
import { type AmqpMap, type AmqpValue, int, isList, isMap, map, mapGet, stringMap, symbol, textOf } from "../amqp/values.js";
import { statusCodeOf } from "./errors.js";

const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;
const DATA = 0x75;
const VALUE = 0x77;

/** A request to $cbs or $management. */
export interface Request {
  readonly messageId: AmqpValue;
  readonly correlationId: AmqpValue;
  readonly replyTo: string | undefined;
  readonly operation: string;
  readonly applicationProperties: AmqpMap;
  readonly body: AmqpValue;
}

/** An answer: a code like those of HTTP, and a body where there is something to tell. */
export interface Response {
  readonly statusCode: number;
  readonly description: string;
  readonly condition?: string | undefined;
  readonly body?: AmqpValue | undefined;
}

/** @throws DecodeError when the message is no AMQP */
export function readRequest(payload: Buffer): Request {
  const decoder = new Decoder(payload);
  let properties: AmqpValue = null;
  let applicationProperties: AmqpMap = map([]);
  let body: AmqpValue = null;
  while (!decoder.atEnd) {
    const descriptor = decoder.readDescriptor();
    const value = decoder.readValue();
    if (descriptor === PROPERTIES) properties = value;
    else if (descriptor === APPLICATION_PROPERTIES && isMap(value)) applicationProperties = value;
    else if (descriptor === VALUE) body = value;
    // A token may come as text in a data section.
    else if (descriptor === DATA && Buffer.isBuffer(value)) body = value.toString();
  }
  const [messageId = null, , , , replyTo, correlationId = null] = isList(properties) ? properties : [];
  const operation = textOf(mapGet(applicationProperties, "operation"));
  if (operation === undefined) throw new DecodeError('a request needs the application property "operation"');
  return { messageId, correlationId, replyTo: textOf(replyTo), operation, applicationProperties, body };
}

export const ok = (body?: AmqpValue): Response => ({ statusCode: 200, description: "OK", body: body ?? map([]) });

export function failure(error: AmqpError): Response {
  return { statusCode: statusCodeOf(error), description: error.message, condition: error.condition };
}

/** The fields of a request's body, checked as they are read. */
export class Fields {
  readonly #body: AmqpMap;

  constructor(body: AmqpValue) {
    if (!isMap(body)) throw new AmqpError("com.microsoft:argument-error", "The body of the request is no map.");
    this.#body = body;
  }

  get(name: string): AmqpValue | undefined {
    return mapGet(this.#body, name) ?? undefined;
  }

  text(name: string): string | undefined {
    return textOf(this.get(name));
  }

  /** The elements of an array or list; some clients write one where others write the other, or the one element alone. */
  items(name: string): readonly AmqpValue[] {
    const value = this.get(name);
    if (isList(value)) return value;
    if (typeof value === "object" && value !== null && "type" in value && value.type === "array") return value.items;
    return value === undefined ? this.missing(name) : [value];
  }

  missing(name: string): never {
    throw new AmqpError("com.microsoft:argument-error", `The body of the request has no valid "${name}".`);
  }
}

const encoder = new Encoder();

/** An answer as a message. Clients differ in how they spell the names of the status, so that each is there in both spellings. */
export function writeResponse(request: Request, response: Response): Buffer {
  const { statusCode, description, condition } = response;
  encoder.reset();
  encoder.writeDescriptor(PROPERTIES);
  const correlationId = request.messageId ?? request.correlationId;
  encoder.writeValue([null, null, request.replyTo ?? null, null, null, correlationId]);
  encoder.writeDescriptor(APPLICATION_PROPERTIES);
  const errors = condition === undefined ? {} : { errorCondition: symbol(condition), "error-condition": symbol(condition) };
  encoder.writeValue(
    stringMap({
      statusCode: int(statusCode),
      "status-code": int(statusCode),
      statusDescription: description,
      "status-description": description,
      ...errors,
    }),
  );
  encoder.writeDescriptor(VALUE);
  encoder.writeValue(response.body ?? null);
  return encoder.take();
}
