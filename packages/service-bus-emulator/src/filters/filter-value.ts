import { type AmqpDescribed, type AmqpValue, integerOf, isDescribed, textOf } from "../amqp/values.js";
import { FilterError } from "./filter-error.js";

/**
 * A value in the SQL language of filters: integers are bigints (System.Int64 there), other numbers doubles. `undefined` is "unknown": a
 * property that does not exist, and whatever is calculated from one.
 */
export type FilterValue = string | boolean | bigint | number | Instant | Guid | Buffer | null | undefined;

export const TIME_SPAN = "com.microsoft:timespan";
/** Of .NET, in a millisecond. */
export const TICKS = 10_000n;
/** 1970, in milliseconds since the year 1. */
const EPOCH = 62_135_596_800_000n;

/** A point in time, epoch milliseconds. */
export class Instant {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }

  toString(): string {
    return new Date(this.milliseconds).toISOString();
  }
}

export class Guid {
  /** 16 bytes in the order of RFC 4122. */
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  toString(): string {
    return this.bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
}

/** Lists, maps and decimals have no meaning in a filter: unknown. */
export function fromAmqp(value: AmqpValue | undefined): FilterValue {
  if (value === undefined || value === null || typeof value === "boolean" || typeof value === "string" || Buffer.isBuffer(value))
    return value;
  if (!("type" in value)) return undefined;
  if (isDescribed(value)) return fromDescribed(value);
  switch (value.type) {
    case "symbol":
      return value.value;
    case "float":
    case "double":
      return value.value;
    case "char":
      return String.fromCodePoint(value.value);
    case "timestamp":
      return new Instant(Number(value.value));
    case "uuid":
      return new Guid(value.value);
    default:
      return integerOf(value);
  }
}

/** What .NET's client writes for types that AMQP has not: a time span counts as its ticks. */
function fromDescribed({ descriptor, value }: AmqpDescribed): FilterValue {
  switch (textOf(descriptor)) {
    case TIME_SPAN:
      return integerOf(value);
    case "com.microsoft:datetime-offset":
      return new Instant(Number((integerOf(value) ?? 0n) / TICKS - EPOCH));
    case "com.microsoft:uri":
      return textOf(value);
    default:
      return undefined;
  }
}

export function toAmqp(value: FilterValue): AmqpValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return { type: "long", value };
  if (typeof value === "number") return { type: "double", value };
  if (value instanceof Instant) return { type: "timestamp", value: BigInt(value.milliseconds) };
  if (value instanceof Guid) return { type: "uuid", value: value.bytes };
  return value;
}

/** Whether two values are equal: numbers by value whatever their types, all else only within its type. */
export function areEqual(a: FilterValue, b: FilterValue): boolean {
  if (isNumeric(a) && isNumeric(b)) return typeof a === typeof b ? a === b : Number(a) === Number(b);
  if (a instanceof Instant && b instanceof Instant) return a.milliseconds === b.milliseconds;
  if (a instanceof Guid && b instanceof Guid) return a.bytes.equals(b.bytes);
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return a.equals(b);
  return a === b;
}

/**
 * Negative, 0 or positive.
 * @throws FilterError for types that have no order among them.
 */
export function compare(a: FilterValue, b: FilterValue, operator: string): number {
  if (isNumeric(a) && isNumeric(b)) return order(a, b);
  if (typeof a === "string" && typeof b === "string") return order(a, b);
  if (a instanceof Instant && b instanceof Instant) return order(a.milliseconds, b.milliseconds);
  throw mismatch(a, b, operator);
}

/**
 * `+ - * / %` as C# does them: integers stay integers (64 bits, division cuts off), mixed with a double they are doubles; `+` joins strings.
 * @throws FilterError for other types, and for a division of integers by zero.
 */
export function calculate(a: FilterValue, b: FilterValue, operator: string): FilterValue {
  if (operator === "+" && (typeof a === "string" || typeof b === "string")) return `${String(a)}${String(b)}`;
  if (!isNumeric(a) || !isNumeric(b)) throw mismatch(a, b, operator);
  if (typeof a === "bigint" && typeof b === "bigint") return BigInt.asIntN(64, integerResult(a, b, operator));
  return doubleResult(Number(a), Number(b), operator);
}

export function isNumeric(value: FilterValue): value is bigint | number {
  return typeof value === "bigint" || typeof value === "number";
}

function integerResult(a: bigint, b: bigint, operator: string): bigint {
  if ((operator === "/" || operator === "%") && b === 0n) throw new FilterError("Attempted to divide by zero.");
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    default:
      return a % b;
  }
}

function doubleResult(a: number, b: number, operator: string): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    default:
      return a % b;
  }
}

function order<T extends string | bigint | number>(a: T, b: T): number {
  if (a < b) return -1;
  if (a > b) return 1;
  // A NaN is in no order with anything: every comparison with it is false.
  return a === b || Number(a) === Number(b) ? 0 : Number.NaN;
}

function mismatch(a: FilterValue, b: FilterValue, operator: string): FilterError {
  return new FilterError(`Operator '${operator}' cannot be applied to operands of type '${typeName(a)}' and '${typeName(b)}'.`);
}

export function typeName(value: FilterValue): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "long";
  if (typeof value === "number") return "double";
  if (value instanceof Instant) return "DateTime";
  return value instanceof Guid ? "Guid" : "byte[]";
}
