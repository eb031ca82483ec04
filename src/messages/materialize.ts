import type { MessageClass } from "../contracts/message-class.js";
import { InvalidMessageError } from "../errors.js";
import { abandon } from "../util/abandon.js";

/**
 * The message that `data`, as it came off the wire, stands for: what the class's `fromWire` makes of it, else an object with the class's
 * prototype and the properties of `data` (the constructor does not run). Nested values are shared with `data`: for a second run that must
 * not see what the first changed, decode again.
 * @throws InvalidMessageError when `data` is no object, or `fromWire` throws or returns something else than an object.
 */
export function materialize(messageClass: MessageClass, data: unknown): object {
  if (messageClass.fromWire !== undefined) return fromWire(messageClass, data);
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    const kind = data === undefined ? "absent" : data === null ? "null" : Array.isArray(data) ? "an array" : `a ${typeof data}`;
    throw new InvalidMessageError(`The data of "${messageClass.messageType}" is ${kind}; a message is a JSON object.`, {
      cause: undefined,
      issues: [],
    });
  }
  // Copied first, so that no setter of the class is called; and in a third of the time of giving an object of the class each property.
  return Object.setPrototypeOf({ ...data }, messageClass.prototype);
}

function fromWire(messageClass: MessageClass, data: unknown): object {
  let message: unknown;
  try {
    message = messageClass.fromWire?.(data);
  } catch (error) {
    if (error instanceof InvalidMessageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidMessageError(`fromWire of "${messageClass.messageType}" refused the data: ${reason}`, { cause: error, issues: [] });
  }
  if (typeof message === "object" && message !== null && typeof (message as { readonly then?: unknown }).then !== "function")
    return message;
  const isPromise = typeof message === "object" && message !== null;
  if (isPromise) abandon(message);
  const kind = isPromise ? "a promise; it must be synchronous" : `${message === null ? "null" : typeof message}, not the message`;
  throw new InvalidMessageError(`fromWire of "${messageClass.messageType}" returned ${kind}.`, { cause: undefined, issues: [] });
}
