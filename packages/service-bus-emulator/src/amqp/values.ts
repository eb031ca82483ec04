/**
 * AMQP values as this package holds them (AMQP 1.0 part 1, "types"). What JavaScript has a type for is that type; every
 * other value says its AMQP type, so that a long stays a long and 3.0 stays a double wherever it is read and written again.
 */
export type AmqpValue = null | boolean | string | Buffer | AmqpScalar | readonly AmqpValue[] | AmqpMap | AmqpArray | AmqpDescribed;

/** A single value that is no null, boolean, string or binary. */
export type AmqpScalar = AmqpNumber | AmqpWideNumber | AmqpBytes | AmqpSymbol;

export interface AmqpNumber {
  readonly type: "ubyte" | "ushort" | "uint" | "byte" | "short" | "int" | "float" | "double" | "char";
  readonly value: number;
}

/** Eight-byte integers; a timestamp counts milliseconds since 1970. */
export interface AmqpWideNumber {
  readonly type: "ulong" | "long" | "timestamp";
  readonly value: bigint;
  /** Of a timestamp of a rule that was written without a time zone: so it is given back. */
  readonly zoneless?: true;
}

/** Types that nothing here calculates with: the bytes as they are on the wire (a UUID in the order of RFC 4122). */
export interface AmqpBytes {
  readonly type: "uuid" | "decimal32" | "decimal64" | "decimal128";
  readonly value: Buffer;
}

export interface AmqpSymbol {
  readonly type: "symbol";
  readonly value: string;
}

/** The pairs of a map in the order of the wire; keys are of any type (application properties: strings, annotations: symbols). */
export interface AmqpMap {
  readonly type: "map";
  readonly entries: readonly (readonly [AmqpValue, AmqpValue])[];
}

/** Values that are all of one type: `of` names it, and `descriptor` is there when each one is a described value. */
export interface AmqpArray {
  readonly type: "array";
  readonly of: AmqpTypeName;
  readonly items: readonly AmqpValue[];
  readonly descriptor?: AmqpValue;
}

export interface AmqpDescribed {
  readonly type: "described";
  readonly descriptor: AmqpValue;
  readonly value: AmqpValue;
}

export type AmqpTypeName =
  | AmqpScalar["type"]
  | "null"
  | "boolean"
  | "string"
  | "binary"
  | "list"
  | AmqpMap["type"]
  | AmqpArray["type"]
  | AmqpDescribed["type"];

/** The AMQP type of a value. */
export function typeOf(value: AmqpValue): AmqpTypeName {
  if (value === null) return "null";
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "string") return "string";
  if (Buffer.isBuffer(value)) return "binary";
  if (isList(value)) return "list";
  return value.type;
}

/** `Array.isArray` that knows of read-only arrays. */
export function isList(value: AmqpValue | undefined): value is readonly AmqpValue[] {
  return Array.isArray(value);
}

export function isMap(value: AmqpValue | undefined): value is AmqpMap {
  return typeof value === "object" && value !== null && "type" in value && value.type === "map";
}

export function isDescribed(value: AmqpValue | undefined): value is AmqpDescribed {
  return typeof value === "object" && value !== null && "type" in value && value.type === "described";
}

export const int = (value: number): AmqpNumber => ({ type: "int", value });
export const uint = (value: number): AmqpNumber => ({ type: "uint", value });
export const double = (value: number): AmqpNumber => ({ type: "double", value });
export const long = (value: bigint): AmqpWideNumber => ({ type: "long", value });
export const ulong = (value: bigint): AmqpWideNumber => ({ type: "ulong", value });
export const timestamp = (milliseconds: number | bigint): AmqpWideNumber => ({ type: "timestamp", value: BigInt(milliseconds) });
export const symbol = (value: string): AmqpSymbol => ({ type: "symbol", value });
/** @param bytes 16 of them, in the order of RFC 4122 */
export const uuid = (bytes: Buffer): AmqpBytes => ({ type: "uuid", value: bytes });
export const described = (descriptor: AmqpValue, value: AmqpValue): AmqpDescribed => ({ type: "described", descriptor, value });
export const map = (entries: readonly (readonly [AmqpValue, AmqpValue])[]): AmqpMap => ({ type: "map", entries });
export const array = (of: AmqpTypeName, items: readonly AmqpValue[]): AmqpArray => ({ type: "array", of, items });

/** A map whose keys are strings, as application properties and the bodies of management requests have them. */
export const stringMap = (values: Readonly<Record<string, AmqpValue>>): AmqpMap => map(Object.entries(values));

/** A map whose keys are symbols, as annotations and link properties have them. */
export const symbolMap = (values: Readonly<Record<string, AmqpValue>>): AmqpMap =>
  map(Object.entries(values).map(([key, value]) => [symbol(key), value] as const));

/** What a map has under a name, whether its key is a string or a symbol; undefined when it has none (or is no map). */
export function mapGet(value: AmqpValue | undefined, name: string): AmqpValue | undefined {
  if (!isMap(value)) return undefined;
  for (const [key, entry] of value.entries) {
    if (textOf(key) === name) return entry;
  }
  return undefined;
}

/** The text of a string or a symbol; undefined for any other value. */
export function textOf(value: AmqpValue | undefined): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || !("type" in value) || value.type !== "symbol") return undefined;
  return value.value;
}

/** The number of any integer type as a bigint; undefined for any other value. */
export function integerOf(value: AmqpValue | undefined): bigint | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  switch (value.type) {
    case "ulong":
    case "long":
    case "timestamp":
      return value.value;
    case "ubyte":
    case "ushort":
    case "uint":
    case "byte":
    case "short":
    case "int":
      return BigInt(value.value);
    default:
      return undefined;
  }
}
