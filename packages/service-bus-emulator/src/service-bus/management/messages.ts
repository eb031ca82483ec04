import { AmqpError } from "../../amqp/amqp-error.js";
import { type AmqpValue, array, int, integerOf, isMap, long, map, mapGet, stringMap, timestamp, uuid } from "../../amqp/values.js";
import type { Delivery, IncomingMessage, Outcome, Receivable, Sendable, StoredMessage } from "../../broker/contracts.js";
import { readMessage, writeMessage } from "../message-format.js";
import { propertiesOf } from "../receive-link.js";
import { type Fields, ok, type Response } from "../request.js";

/** Messages looked at for one answer, and the bytes after which it ends: clients ask again for the rest. */
const MAX_PEEKED = 5_000;
const MAX_PEEKED_BYTES = 1_048_576;
/** The value of receiver-settle-mode that asks for receive-and-delete. */
const SETTLE_FIRST = 0n;

/** Requests about messages (learn.microsoft.com, service-bus-amqp-request-response, "Message operations"). */
export function peekMessages(entity: Sendable | Receivable, fields: Fields): Response {
  const from = integer(fields, "from-sequence-number");
  const count = Math.min(Number(integer(fields, "message-count")), MAX_PEEKED);
  const messages = entity.peek(from, count, fields.text("session-id"));
  if (messages.length === 0) return { statusCode: 204, description: "NoContent", condition: "com.microsoft:message-not-found" };
  return ok(map([["messages", encodedWithinLimit(messages)]]));
}

function encodedWithinLimit(messages: readonly StoredMessage[]): AmqpValue[] {
  const encoded: AmqpValue[] = [];
  let bytes = 0;
  for (const message of messages) {
    const binary = writeMessage(message, { inFull: true });
    bytes += binary.length;
    if (encoded.length > 0 && bytes > MAX_PEEKED_BYTES) break;
    encoded.push(stringMap({ message: binary }));
  }
  return encoded;
}

export function renewLocks(entity: Receivable, fields: Fields): Response {
  const expirations = entity.renewLocks(lockTokens(fields));
  return ok(map([["expirations", array("timestamp", expirations.map(milliseconds))]]));
}

export function receiveBySequenceNumber(entity: Receivable, fields: Fields): Response {
  const mode = integerOf(fields.get("receiver-settle-mode")) === SETTLE_FIRST ? "receive-and-delete" : "peek-lock";
  const deliveries = entity.receiveDeferred(sequenceNumbers(fields), mode, fields.text("session-id"));
  return ok(map([["messages", deliveries.map((delivery) => deferredMessage(delivery, mode === "peek-lock"))]]));
}

function deferredMessage({ message, lockToken, lockedUntil }: Delivery, locked: boolean): AmqpValue {
  if (!locked) return stringMap({ message: writeMessage(message, { inFull: true }) });
  return stringMap({ message: writeMessage(message, { lockedUntil, lockToken, inFull: true }), "lock-token": uuid(lockToken) });
}

export function updateDisposition(entity: Receivable, fields: Fields): Response {
  const outcome = outcomeOf(fields);
  for (const token of lockTokens(fields)) entity.settle(token, outcome);
  return ok();
}

function outcomeOf(fields: Fields): Outcome {
  const given = fields.get("properties-to-modify");
  const properties = isMap(given) ? propertiesOf(given, []) : undefined;
  const status = fields.text("disposition-status");
  switch (status) {
    case "completed":
      return { kind: "complete" };
    case "abandoned":
      return { kind: "abandon", properties };
    case "defered":
      return { kind: "defer", properties };
    case "suspended":
      return {
        kind: "dead-letter",
        reason: fields.text("deadletter-reason"),
        description: fields.text("deadletter-description"),
        properties,
      };
    default:
      throw new AmqpError("com.microsoft:argument-error", `There is no disposition-status "${status}".`);
  }
}

export function scheduleMessages(entity: Sendable, fields: Fields): Response {
  const messages = fields.items("messages").map((entry): IncomingMessage => {
    const encoded = mapGet(entry, "message");
    return Buffer.isBuffer(encoded) ? readMessage(encoded) : fields.missing("messages");
  });
  const size = messages.reduce((sum, message) => sum + message.bare.length, 0);
  if (size > entity.maxMessageSize) {
    const text = `The messages have ${size} bytes, which exceeds the limit (${entity.maxMessageSize} bytes) of the entity.`;
    throw new AmqpError("amqp:link:message-size-exceeded", text);
  }
  return ok(map([["sequence-numbers", array("long", entity.schedule(messages).map(long))]]));
}

export function cancelScheduled(entity: Sendable, fields: Fields): Response {
  entity.cancelScheduled(sequenceNumbers(fields));
  return ok();
}

/** As the SDKs of .NET and Python ask it; it is not in the public description. */
export function deleteMessages(entity: Receivable, fields: Fields): Response {
  const before = integerOf(fields.get("enqueued-time-utc"));
  const deleted = entity.deleteMessages(
    Number(integer(fields, "message-count")),
    before === undefined ? Date.now() : Number(before),
    fields.text("session-id"),
  );
  if (deleted === 0) return { statusCode: 204, description: "NoContent", body: map([["message-count", int(0)]]) };
  return ok(map([["message-count", int(deleted)]]));
}

function integer(fields: Fields, name: string): bigint {
  return integerOf(fields.get(name)) ?? fields.missing(name);
}

function sequenceNumbers(fields: Fields): bigint[] {
  return fields.items("sequence-numbers").map((value) => integerOf(value) ?? fields.missing("sequence-numbers"));
}

function lockTokens(fields: Fields): Buffer[] {
  return fields.items("lock-tokens").map((value) => uuidBytes(value) ?? fields.missing("lock-tokens"));
}

function uuidBytes(value: AmqpValue): Buffer | undefined {
  const isUuid = typeof value === "object" && value !== null && "type" in value && value.type === "uuid";
  return isUuid ? value.value : undefined;
}

function milliseconds(time: number): AmqpValue {
  return timestamp(Math.floor(time));
}
