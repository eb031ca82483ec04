import type { PublishOptions } from "../contracts/event-bus.js";
import type { OutgoingStep } from "../contracts/steps.js";
import type { OutgoingMessage } from "../contracts/transport.js";
import type { WireFormat } from "../contracts/wire-format.js";
import { InvalidMessageError, PublishError, TrolleybusError } from "../errors.js";
import { messageTypeOf } from "../messages/message-type.js";
import { wireTextOf } from "../messages/wire-text.js";
import { MAX_HEADER_BYTES, MAX_ID_LENGTH } from "../options/defaults.js";
import { show } from "../options/show.js";
import { compose } from "../util/compose.js";
import { deriveId } from "../util/derived-id.js";
import { mistakeInHeaderName } from "../util/names.js";
import { isOptionsObject } from "../util/options-object.js";
import { newUlid } from "../util/ulid.js";
import type { Origin } from "./origin.js";

type Headers = Record<string, string>;
const NO_HEADERS: Readonly<Headers> = Object.freeze({});
const NO_OPTIONS: PublishOptions = Object.freeze({});
const OPTION_KEYS = new Set([
  "messageId",
  "correlationId",
  "partitionKey",
  "headers",
  "immediately",
  "signal",
] satisfies (keyof PublishOptions)[]);

export interface ComposerSettings {
  readonly service: string;
  readonly propagateHeaders: readonly string[];
  /** Asked for each message: the transport may lower it once it is connected. */
  readonly maxMessageBytes: () => number;
}

/** Makes of a message and its options what goes to the transport. The payload is taken when this is called. */
export class MessageComposer {
  readonly #settings: ComposerSettings;
  readonly #format: WireFormat;
  readonly #steps: OutgoingStep[] = [];

  constructor(settings: ComposerSettings, format: WireFormat) {
    this.#settings = settings;
    this.#format = format;
  }

  use(step: OutgoingStep): void {
    this.#steps.push(step);
  }

  get hasSteps(): boolean {
    return this.#steps.length > 0;
  }

  /**
   * What goes to the transport. @param destination the endpoint of a command, `undefined` for an event.
   * @throws InvalidMessageError, PublishError "too-large", TrolleybusError "configuration" for wrong options
   */
  compose(
    destination: string | undefined,
    message: object,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
  ): OutgoingMessage {
    const draft = this.#draft(destination, message, options, origin);
    return this.#encode(draft, origin);
  }

  /** Like {@link compose}, through the user's outgoing steps; `send` is what they go around. */
  async composeThroughSteps(
    destination: string | undefined,
    message: object,
    options: PublishOptions | undefined,
    origin: Origin | undefined,
    send: (outgoing: OutgoingMessage) => Promise<void>,
  ): Promise<void> {
    const draft = this.#draft(destination, message, options, origin);
    const headers = { ...draft.headers };
    const { messageId, messageType } = draft;
    await compose(this.#steps, () => send(this.#encode({ ...draft, headers: checkHeaders(headers) }, origin)))({
      message,
      messageId,
      messageType,
      destination,
      headers,
    });
  }

  #draft(destination: string | undefined, message: object, options: PublishOptions = NO_OPTIONS, origin: Origin | undefined): Draft {
    if (options !== NO_OPTIONS) checkOptions(options);
    const messageType = messageTypeOf(message);
    const dataText = wireTextOf(message);
    return {
      destination,
      message,
      messageType,
      dataText,
      // After its run a message is not published again by another run; and what was once made in a handler may publish for ever.
      messageId: options.messageId ?? (origin?.phase === "running" ? derivedId(origin, destination, messageType, dataText) : newUlid()),
      correlationId: options.correlationId,
      partitionKey: options.partitionKey,
      headers: this.#headersOf(options, origin),
    };
  }

  #headersOf(options: PublishOptions, origin: Origin | undefined): Readonly<Headers> {
    const propagated =
      origin && this.#settings.propagateHeaders.length > 0 ? pick(origin.headers, this.#settings.propagateHeaders) : undefined;
    if (!options.headers) return propagated ?? NO_HEADERS;
    return { ...propagated, ...checkHeaders(options.headers) };
  }

  #encode(draft: Draft, origin: Origin | undefined): OutgoingMessage {
    const { messageId, messageType, partitionKey, headers } = draft;
    const correlationId = draft.correlationId ?? origin?.correlationId ?? messageId;
    const { body, contentType } = this.#format.encode({
      messageId,
      messageType,
      source: this.#settings.service,
      sentAt: new Date(),
      correlationId,
      conversationId: origin?.conversationId ?? messageId,
      causationId: origin?.messageId,
      partitionKey,
      traceparent: origin?.traceparent,
      tracestate: origin?.tracestate,
      data: draft.message,
      dataText: draft.dataText,
    });
    const bytes = body.byteLength + (headers === NO_HEADERS ? 0 : sizeOf(headers));
    const max = this.#settings.maxMessageBytes();
    if (bytes > max) throw tooLarge(draft, bytes, max);
    return {
      to: draft.destination === undefined ? { event: messageType } : { endpoint: draft.destination },
      body,
      properties: { messageId, messageType, contentType, correlationId, partitionKey },
      headers,
      publishedBy: origin?.phase === "running" ? origin.endpoint : undefined,
    };
  }
}

interface Draft {
  readonly destination: string | undefined;
  readonly message: object;
  readonly messageType: string;
  readonly dataText: string;
  readonly messageId: string;
  readonly correlationId: string | undefined;
  readonly partitionKey: string | undefined;
  readonly headers: Readonly<Headers>;
}

// Not the time nor the attempt: a second run that does the same has to get the same ids.
function derivedId(origin: Origin, destination: string | undefined, messageType: string, dataText: string): string {
  const parts = [origin.endpoint, origin.messageId, destination === undefined ? "event" : `endpoint ${destination}`, messageType, dataText];
  const fingerprint = deriveId(parts);
  const before = origin.countEqual(fingerprint);
  return before === 0 ? fingerprint : deriveId([...parts, String(before)]);
}

function checkOptions(options: PublishOptions): void {
  if (!isOptionsObject(options)) throw wrongOption(`publish and send are given ${show(options)} as options; they take an object.`);
  for (const key in options) {
    if (!OPTION_KEYS.has(key as keyof PublishOptions)) {
      throw wrongOption(`publish and send have no option ${show(key)}; they know ${[...OPTION_KEYS].join(", ")}.`);
    }
  }
  checkId("messageId", options.messageId);
  checkId("correlationId", options.correlationId);
  checkId("partitionKey", options.partitionKey);
  const { headers, immediately, signal } = options;
  if (headers !== undefined && !isOptionsObject(headers)) throw wrongOption(`headers is ${show(headers)}; it is an object of texts.`);
  if (immediately !== undefined && typeof immediately !== "boolean")
    throw wrongOption(`immediately is ${show(immediately)}; it is true or false.`);
  // Not by instanceof: a test's environment may bring an AbortSignal of its own.
  if (signal !== undefined && typeof signal?.addEventListener !== "function")
    throw wrongOption(`signal is ${show(signal)}; it is an AbortSignal.`);
}

function checkId(name: string, value: unknown): void {
  if (value === undefined || (typeof value === "string" && value.length > 0 && value.length <= MAX_ID_LENGTH && isWellFormed(value)))
    return;
  throw wrongOption(`${name} is ${show(value)}; it is text of 1 to ${MAX_ID_LENGTH} characters, without halves of surrogate pairs.`);
}

function checkHeaders(headers: Readonly<Headers>): Readonly<Headers> {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    const mistake =
      mistakeInHeaderName(name) ?? (typeof value === "string" ? undefined : `the header ${show(name)} is ${show(value)}; it is text.`);
    if (mistake) throw wrongOption(`headers: ${mistake}`);
    if (!isWellFormed(value)) {
      throw new InvalidMessageError(`The header ${show(name)} holds half a surrogate pair, which no encoding carries; mend the text.`, {
        cause: undefined,
        issues: [],
      });
    }
    bytes += name.length + Buffer.byteLength(value);
  }
  if (bytes > MAX_HEADER_BYTES)
    throw wrongOption(
      `headers: they take ${bytes} bytes together; at most ${MAX_HEADER_BYTES} are taken. Put large values in the message.`,
    );
  return headers;
}

const isWellFormed = (text: string): boolean => !/[\ud800-\udfff]/.test(text) || Buffer.from(text).toString() === text;

function sizeOf(headers: Readonly<Headers>): number {
  let bytes = 0;
  for (const name in headers) bytes += name.length + Buffer.byteLength(headers[name] ?? "");
  return bytes;
}

function pick(headers: Readonly<Headers>, names: readonly string[]): Headers | undefined {
  let picked: Headers | undefined;
  for (const name of names) {
    const value = headers[name];
    if (value === undefined || !isWellFormed(value)) continue;
    picked ??= {};
    picked[name] = value;
  }
  return picked;
}

function wrongOption(text: string): TrolleybusError {
  return new TrolleybusError("configuration", text, { cause: undefined, retryable: false });
}

function tooLarge(draft: Draft, bytes: number, max: number): PublishError {
  const text = `${draft.messageType} ${draft.messageId} takes ${bytes} bytes with its headers; at most ${max} are sent (maxMessageBytes). Nothing was sent. Put the large part elsewhere and send where it is.`;
  return new PublishError("too-large", text, { cause: undefined, retryable: false, outcome: "refused", messageId: draft.messageId });
}
