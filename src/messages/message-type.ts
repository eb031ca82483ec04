import { InvalidMessageError } from "../errors.js";
import { mistakeInMessageType } from "../util/names.js";

const knownTypes = new WeakMap<object, string>();

/**
 * The `messageType` of a message, a static of its class. The class is found by the prototype, never by an own property
 * `constructor`, which anybody's data may hold. Looked at once for each class.
 * @throws InvalidMessageError saying what was given instead of a message, or what is wrong with the name.
 */
export function messageTypeOf(message: object): string {
  const prototype: unknown = typeof message === "object" && message !== null ? Object.getPrototypeOf(message) : undefined;
  if (typeof prototype !== "object" || prototype === null) throw noMessage(message);
  const known = knownTypes.get(prototype);
  if (known !== undefined) return known;

  const messageClass = (prototype as { readonly constructor?: unknown }).constructor;
  if (prototype === Object.prototype || typeof messageClass !== "function" || Array.isArray(message)) throw noMessage(message);
  const messageType = (messageClass as { readonly messageType?: unknown }).messageType;
  if (messageType === undefined) throw withoutType(messageClass.name, message);
  const mistake = mistakeInMessageType(messageType);
  if (mistake !== undefined) throw invalid(`The class ${messageClass.name || "without a name"} has a wrong static messageType. ${mistake}`);
  knownTypes.set(prototype, messageType as string);
  return messageType as string;
}

const REMEDY = 'Publish an instance of a class that has `static readonly messageType = "..."`, or of one made by defineMessage().';

function noMessage(given: unknown): InvalidMessageError {
  if (given === null || given === undefined) return invalid(`${given} is not a message. ${REMEDY}`);
  if (typeof given === "function") {
    const isClass = typeof (given as { readonly messageType?: unknown }).messageType === "string";
    return invalid(
      isClass
        ? `The class ${given.name} was given instead of an instance: publish new ${given.name}(...).`
        : `A function is not a message. ${REMEDY}`,
    );
  }
  if (typeof given !== "object") return invalid(`A ${typeof given} is not a message. ${REMEDY}`);
  if (Array.isArray(given)) {
    return invalid("An array is not a message: publish one at a time, await Promise.all(messages.map((m) => bus.publish(m))).");
  }
  if (Object.getPrototypeOf(given) === null) return invalid(`An object without a prototype has no messageType. ${REMEDY}`);
  return invalid(`A plain object has no messageType. ${REMEDY}`);
}

function withoutType(className: string, message: object): InvalidMessageError {
  if (typeof (message as { readonly then?: unknown }).then === "function") {
    return invalid("A promise is not a message: await it first.");
  }
  return invalid(
    `The class ${className || "of the message"} has no static messageType, the name of the message on the wire; ` +
      'add `static readonly messageType = "..."` to it.',
  );
}

function invalid(text: string): InvalidMessageError {
  return new InvalidMessageError(text, { cause: undefined, issues: [] });
}
