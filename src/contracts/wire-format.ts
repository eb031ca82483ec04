import type { NativeProperties } from "./transport.js";

/** How an envelope becomes bytes. Several are registered; one writes, the reader is chosen by content type. Pure functions, no I/O. */
export interface WireFormat {
  /** For options and texts: "cloudevents". */
  readonly name: string;
  /** Those that `decode` reads, lower case, without parameters. */
  readonly contentTypes: readonly string[];
  encode(envelope: Envelope): { readonly contentType: string; readonly body: Uint8Array };
  /** @throws what makes the delivery "undecodable". `body` is within the size limit. Data is built property by property. */
  decode(body: Uint8Array, properties: Partial<NativeProperties>, headers: Readonly<Record<string, string>>): Envelope;
}

export interface Envelope {
  readonly messageId: string;
  readonly messageType: string;
  /** The service that sent it. */
  readonly source: string;
  readonly sentAt: Date;
  readonly correlationId: string;
  readonly conversationId: string;
  readonly causationId: string | undefined;
  readonly partitionKey: string | undefined;
  /** W3C trace context, handed on as it came when nothing else is known. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** The schema's input: JSON. */
  readonly data: unknown;
  /** `data` as JSON text, where the core has made it already: a format of JSON writes it as it is instead of encoding `data` again. */
  readonly dataText?: string;
}
