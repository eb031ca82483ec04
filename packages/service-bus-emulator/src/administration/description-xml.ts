import { errors } from "../broker/errors.js";
import { readKeys, writeKeys } from "./authorization-rules-xml.js";
import type { Field, FieldType, FieldValue } from "./description-fields.js";
import { formatDuration, parseDuration } from "./iso-duration.js";
import { child, tag, type XmlElement } from "./xml.js";

/**
 * The properties that an element holds. What is not written keeps the value of `before`, but for texts, targets and keys: these are taken
 * away by leaving them out.
 * @throws BrokerError "amqp:invalid-field" naming the property whose value is wrong.
 */
export function readDescription<D extends object>(element: XmlElement, fields: readonly Field<D>[], before: D): D {
  const read: Record<string, FieldValue> = {};
  for (const { element: name, key, type } of fields) {
    const found = child(element, name);
    if (isGiven(found)) read[key] = readValue(found, type);
    else if (type === "keys") read[key] = [];
    else if (type === "entity" || key === "userMetadata") read[key] = undefined;
  }
  return { ...before, ...read };
}

/** The elements of a description in their order. @param host for the addresses of targets. */
export function writeDescription<D extends object>(description: D, fields: readonly Field<D>[], host: string): Map<string, string> {
  const written = new Map<string, string>();
  for (const { element, key, type } of fields) written.set(element, writeValue(element, description[key] as FieldValue, type, host));
  return written;
}

/** An empty element, or one that says i:nil, counts as left out. */
function isGiven(element: XmlElement | undefined): element is XmlElement {
  return element !== undefined && (element.text.trim() !== "" || element.children.length > 0) && element.attributes.get("nil") !== "true";
}

function readValue(element: XmlElement, type: FieldType): FieldValue {
  const { name } = element;
  const text = type === "text" ? element.text : element.text.trim();
  switch (type) {
    case "duration": {
      const milliseconds = parseDuration(text);
      if (milliseconds === undefined) throw wrong(name, text, "an ISO 8601 duration such as PT1M");
      return milliseconds;
    }
    case "integer":
      if (!/^\d{1,15}$/.test(text)) throw wrong(name, text, "a whole number");
      return Number(text);
    case "boolean":
      if (!/^(true|false|1|0)$/i.test(text)) throw wrong(name, text, "true or false");
      return text === "1" || text.toLowerCase() === "true";
    case "keys":
      return readKeys(element);
    default:
      return text;
  }
}

function writeValue(element: string, value: FieldValue, type: FieldType, host: string): string {
  if (value === undefined) return "";
  if (type === "keys") return writeKeys(Array.isArray(value) ? value : []);
  if (type === "duration") return tag(element, formatDuration(Number(value)));
  if (type === "entity") return tag(element, String(value).includes("://") ? String(value) : `sb://${host}/${String(value)}`);
  return tag(element, String(value));
}

function wrong(name: string, text: string, wanted: string): Error {
  return errors.invalid(`The value '${text}' of ${name} is not ${wanted}.`);
}
