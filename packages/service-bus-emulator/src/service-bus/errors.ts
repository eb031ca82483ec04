import { AmqpError } from "../amqp/amqp-error.js";
import { BrokerError } from "../broker/broker-error.js";

/** Any error as one that a peer can be told; what nobody foresaw is an internal error. */
export function toAmqpError(error: unknown): AmqpError {
  if (error instanceof AmqpError) return error;
  if (error instanceof BrokerError) return new AmqpError(error.condition, error.message);
  return new AmqpError("amqp:internal-error", error instanceof Error ? error.message : String(error));
}

/** HTTP-like codes of answers to requests (learn.microsoft.com, service-bus-amqp-request-response, and the codes that the SDKs look for). */
const STATUS_CODES: Readonly<Record<string, number>> = {
  "amqp:unauthorized-access": 401,
  "amqp:not-found": 404,
  "amqp:not-allowed": 400,
  "amqp:not-implemented": 501,
  "amqp:invalid-field": 400,
  "amqp:decode-error": 400,
  "amqp:resource-limit-exceeded": 403,
  "amqp:link:message-size-exceeded": 413,
  "com.microsoft:argument-error": 400,
  "com.microsoft:argument-out-of-range": 400,
  "com.microsoft:auth-failed": 401,
  "com.microsoft:entity-already-exists": 409,
  "com.microsoft:entity-disabled": 400,
  "com.microsoft:message-lock-lost": 410,
  "com.microsoft:message-not-found": 404,
  "com.microsoft:server-busy": 503,
  "com.microsoft:session-cannot-be-locked": 410,
  "com.microsoft:session-lock-lost": 410,
  "com.microsoft:timeout": 408,
};

export function statusCodeOf(error: AmqpError): number {
  return STATUS_CODES[error.condition] ?? 500;
}
