import type { FailureHeaders, NativeProperties, OutgoingMessage } from "../../src/contracts/transport.js";

/** A message as the broker keeps it. All but the bytes is frozen, so that endpoints and services that share it cannot reach each other. */
export interface StoredMessage {
  readonly body: Uint8Array;
  readonly properties: NativeProperties;
  readonly headers: Readonly<Record<string, string>>;
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** The name of an endpoint's queue, as texts and `Delivery.source` give it. */
export function queueName(prefix: string, endpoint: string): string {
  return prefix + endpoint;
}

/** The name under which an endpoint's dead letters appear in `Delivery.source`. */
export function deadLetterName(queue: string): string {
  return `${queue}.dead-letter`;
}

/** What the broker keeps of a message that is sent. */
export function storedFrom(message: OutgoingMessage): StoredMessage {
  const { messageId, messageType, contentType, correlationId, partitionKey } = message.properties;
  return {
    body: message.body,
    // Field by field, for freezing what a spread has made costs six times as much.
    properties: Object.freeze({ messageId, messageType, contentType, correlationId, partitionKey }),
    headers: isEmpty(message.headers) ? NO_HEADERS : Object.freeze({ ...message.headers }),
  };
}

/** The copy that is retried or dead-lettered: body and headers as they came, the failure's headers in place of an earlier failure's. */
export function withFailure(message: StoredMessage, failure: FailureHeaders): StoredMessage {
  return { body: message.body, properties: message.properties, headers: Object.freeze({ ...message.headers, ...failure }) };
}

/** Bytes of the body and the headers together. */
export function sizeOf(message: OutgoingMessage): number {
  let size = message.body.byteLength;
  for (const name in message.headers) size += Buffer.byteLength(name) + Buffer.byteLength(message.headers[name] ?? "");
  return size;
}

function isEmpty(headers: Readonly<Record<string, string>>): boolean {
  for (const _name in headers) return false;
  return true;
}
