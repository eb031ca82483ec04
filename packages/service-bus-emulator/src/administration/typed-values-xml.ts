import { type AmqpValue, described, integerOf, isDescribed, long, symbol } from "../amqp/values.js";
import { errors } from "../broker/errors.js";
import { Guid, TICKS, TIME_SPAN } from "../filters/filter-value.js";
import { formatDuration, parseDuration } from "./iso-duration.js";
import { child, childText, tag, type XmlElement } from "./xml.js";

const XML_SCHEMA = "http://www.w3.org/2001/XMLSchema";
const SERIALIZATION = "http://schemas.microsoft.com/2003/10/Serialization/";

type NumberType = "ubyte" | "ushort" | "uint" | "byte" | "short" | "int";

/** The XML schema's names of the types that AMQP names otherwise. */
const INTEGERS: Readonly<Record<string, NumberType>> = {
  unsignedByte: "ubyte",
  unsignedShort: "ushort",
  unsignedInt: "uint",
  byte: "byte",
  short: "short",
  int: "int",
};

/** Parameters of an expression, or properties of a correlation filter, with their types. @throws BrokerError "amqp:invalid-field" */
export function readTypedValues(element: XmlElement | undefined): Map<string, AmqpValue> {
  const values = new Map<string, AmqpValue>();
  for (const pair of element?.children ?? []) {
    const key = childText(pair, "Key");
    const value = child(pair, "Value");
    if (key === undefined || !value) throw errors.invalid("A KeyValueOfstringanyType has no Key or no Value.");
    values.set(key, readTyped(value.text, value.attributes.get("type")?.replace(/^.*:/, "") ?? "string", key));
  }
  return values;
}

function readTyped(text: string, type: string, key: string): AmqpValue {
  const integer = INTEGERS[type];
  if (integer) return { type: integer, value: Number(integerIn(text, key)) };
  switch (type) {
    case "string":
      return text;
    case "boolean":
      return /^(true|1)$/i.test(text.trim());
    case "long":
      return { type: "long", value: integerIn(text, key) };
    case "unsignedLong":
      return { type: "ulong", value: integerIn(text, key) };
    case "float":
    case "double":
    case "decimal":
      return { type: type === "float" ? "float" : "double", value: numberIn(text, key) };
    case "dateTime":
      return { type: "timestamp", value: BigInt(instantIn(text, key)), ...(hasZone(text) ? {} : { zoneless: true }) };
    case "guid":
      return { type: "uuid", value: Buffer.from(text.replaceAll("-", ""), "hex") };
    case "base64Binary":
      return Buffer.from(text, "base64");
    case "duration":
      return described(symbol(TIME_SPAN), long(ticksIn(text, key)));
    case "char":
      return text;
    default:
      throw errors.invalid(`The value of '${key}' has the unknown type '${type}'.`);
  }
}

function integerIn(text: string, key: string): bigint {
  if (!/^\s*-?\d{1,20}\s*$/.test(text)) throw errors.invalid(`The value '${text}' of '${key}' is no whole number.`);
  return BigInt(text.trim());
}

function numberIn(text: string, key: string): number {
  const value = /^\s*-?INF\s*$/.test(text) ? Number(text.replace("INF", "Infinity")) : Number(text);
  if (Number.isNaN(value) && text.trim() !== "NaN") throw errors.invalid(`The value '${text}' of '${key}' is no number.`);
  return value;
}

function hasZone(text: string): boolean {
  return /([zZ]|[+-]\d\d:?\d\d)\s*$/.test(text);
}

function ticksIn(text: string, key: string): bigint {
  const isNegative = text.trim().startsWith("-");
  const milliseconds = parseDuration(text.trim().replace(/^-/, ""));
  if (milliseconds === undefined) throw errors.invalid(`The value '${text}' of '${key}' is no duration.`);
  return BigInt(isNegative ? -milliseconds : milliseconds) * TICKS;
}

function durationText(ticks: bigint): string {
  const milliseconds = Number(ticks / TICKS);
  return milliseconds < 0 ? `-${formatDuration(-milliseconds)}` : formatDuration(milliseconds);
}

function instantIn(text: string, key: string): number {
  const milliseconds = Date.parse(hasZone(text) ? text : `${text.trim()}Z`);
  if (Number.isNaN(milliseconds)) throw errors.invalid(`The value '${text}' of '${key}' is no point in time.`);
  return milliseconds;
}

/** The prefix "d6p1" is what the service writes; the JavaScript SDK counts its letters. */
export function writeTypedValues(name: string, values: ReadonlyMap<string, AmqpValue> | undefined): string {
  if (!values || values.size === 0) return name === "Parameters" ? "<Parameters/>" : "";
  const pairs = [...values].map(([key, value]) => {
    const [type, text] = typedText(value);
    const namespace = type === "guid" ? SERIALIZATION : XML_SCHEMA;
    return `<KeyValueOfstringanyType>${tag("Key", key)}${tag("Value", text, ` i:type="d6p1:${type}" xmlns:d6p1="${namespace}"`)}</KeyValueOfstringanyType>`;
  });
  return `<${name}>${pairs.join("")}</${name}>`;
}

function typedText(value: AmqpValue): [type: string, text: string] {
  if (value === null) return ["string", ""];
  if (typeof value === "string") return ["string", value];
  if (typeof value === "boolean") return ["boolean", String(value)];
  if (Buffer.isBuffer(value)) return ["base64Binary", value.toString("base64")];
  if (!("type" in value)) return ["string", JSON.stringify(value)];
  if (isDescribed(value)) return ["duration", durationText(integerOf(value.value) ?? 0n)];
  switch (value.type) {
    case "long":
      return ["long", String(value.value)];
    case "ulong":
      return ["unsignedLong", String(value.value)];
    case "timestamp":
      return ["dateTime", new Date(Number(value.value)).toISOString().slice(0, value.zoneless ? -1 : undefined)];
    case "uuid":
      return ["guid", new Guid(value.value).toString()];
    case "float":
    case "double":
      return [value.type, String(value.value).replace("Infinity", "INF")];
    case "symbol":
      return ["string", value.value];
    default: {
      const type = Object.entries(INTEGERS).find(([, amqp]) => amqp === value.type)?.[0];
      return [type ?? "string", "value" in value ? String(value.value) : ""];
    }
  }
}
