import type { TransportError } from "../../src/contracts/transport.js";
import { TrolleybusError } from "../../src/errors.js";

/** An error of this adapter: a {@link TrolleybusError} with one of the codes of the port. */
export class AzureServiceBusError extends TrolleybusError implements TransportError {
  declare readonly code: TransportError["code"];

  constructor(code: TransportError["code"], text: string, options: { readonly retryable: boolean; readonly cause?: unknown }) {
    super(code, text, { cause: options.cause, retryable: options.retryable });
  }
}

/** Not connected, throttled or cut off: the same call may succeed later. */
export function unavailable(text: string, cause?: unknown): AzureServiceBusError {
  return new AzureServiceBusError("unavailable", text, { retryable: true, cause });
}

/** What Service Bus, or its client, said; `GeneralError` where it has no code for it. */
export interface ServiceAnswer {
  /** A `ServiceBusErrorCode` of the client. */
  readonly code: string;
  readonly text: string;
}

/**
 * Reads a {@link ServiceAnswer} out of whatever the client threw. What it tried more than once it throws as an `AggregateError` without a code: the
 * last try is what counts.
 */
export function serviceAnswer(error: unknown): ServiceAnswer {
  const last: unknown = error instanceof AggregateError ? (error.errors.at(-1) ?? error) : error;
  const code = typeof last === "object" && last !== null && "code" in last && typeof last.code === "string" ? last.code : "GeneralError";
  return { code, text: textOf(last) };
}

/** The text of whatever was thrown, in one line, without what could be a key or a signature. */
export function textOf(error: unknown): string {
  const text =
    error instanceof AggregateError ? textOf(error.errors.at(-1) ?? error.message) : error instanceof Error ? error.message : String(error);
  return text
    .replace(/(SharedAccessKey|SharedAccessSignature|sig)=[^;&\s]*/gi, "$1=...")
    .replace(/\s*[\r\n]+\s*/g, " ")
    .trim();
}

/** The lock of the message or of its session is over: somebody else has the message, or will have. */
export function isLockLost(error: unknown): boolean {
  const { code } = serviceAnswer(error);
  return code === "MessageLockLost" || code === "SessionLockLost" || code === "MessageNotFound";
}

/** Nothing was heard in time. */
export function isTimeout(error: unknown): boolean {
  return serviceAnswer(error).code === "ServiceTimeout" || (error instanceof AzureServiceBusError && error.code === "timeout");
}

/** The entity is not there. */
export function isNotFound(error: unknown): boolean {
  return serviceAnswer(error).code === "MessagingEntityNotFound";
}

/** What is wrong with a queue that is there, in words; `undefined` for everything else. */
export function mistakeInQueue(error: unknown, queue: string): string | undefined {
  const { code, text } = serviceAnswer(error);
  if (code === "UnauthorizedAccess")
    return `Azure Service Bus does not let us receive from the queue "${queue}": ${text}. Grant the right Listen.`;
  // Words of the service's own sentences: a name has no spaces, and every other text may name an entity that is called after sessions, or a session of AMQP.
  if (/sessionful message receiver|requires? sessions\b/i.test(text)) {
    return `The queue "${queue}" is there in another form: ${text} Whether a queue requires sessions comes from the endpoint's option "order", which cannot be changed: give the endpoint another name.`;
  }
  return undefined;
}
