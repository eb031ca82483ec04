import { encodeJson } from "../wire/safe-json.js";

/** As a base class, which may return another object than it was called for, it puts a subclass's private fields on one that exists already. */
function given(message: object): object {
  return message;
}
const Given = given as unknown as new (message: object) => object;

/**
 * What a message made from a schema was made from, kept on the message where nobody sees it: a private field costs a
 * twentieth of an entry in a WeakMap, works on frozen objects that were given it before, and is not copied by a spread.
 */
class Kept extends Given {
  #text: string | undefined;
  #data: unknown;

  constructor(message: object, text: string | undefined, data: unknown) {
    super(message);
    this.#text = text;
    this.#data = data;
  }

  static textOf(message: object): string | undefined {
    if (!(#text in message)) return undefined;
    message.#text ??= encodeJson(message.#data);
    return message.#text;
  }
}

/** `text` is what goes out when `message` is published, whatever becomes of the object that it was made from. */
export function keepWireText(message: object, text: string): void {
  new Kept(message, text, undefined);
}

/** `data` came off the wire and is encoded only if `message` is published again, which is rare. Nobody else may change it. */
export function keepWireData(message: object, data: unknown): void {
  new Kept(message, undefined, data);
}

/**
 * The JSON text of what travels: for a message made from a schema the schema's input as it was given, else the message itself.
 * @throws InvalidMessageError when it cannot be encoded; see {@link encodeJson}.
 */
export function wireTextOf(message: object): string {
  return Kept.textOf(message) ?? encodeJson(message);
}
