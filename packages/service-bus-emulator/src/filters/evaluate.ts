import { randomUUID } from "node:crypto";
import type { AmqpValue } from "../amqp/values.js";
import type { Expression, PropertyReference } from "./expression.js";
import { FilterError } from "./filter-error.js";
import { areEqual, calculate, compare, type FilterValue, fromAmqp, Guid, isNumeric, typeName } from "./filter-value.js";
import type { FilterableMessage } from "./filterable-message.js";
import { likePattern } from "./like-pattern.js";

/** An expression made ready to be evaluated for many messages. */
export type Evaluator = (message: FilterableMessage) => FilterValue;

/** The values of "@name" in an expression; names with or without the "@". */
export type Parameters = ReadonlyMap<string, AmqpValue> | undefined;

/**
 * Compiles an expression.
 * @throws FilterError when a parameter has no value. The evaluator throws one when an operator does not fit its operands.
 */
export function compile(expression: Expression, parameters: Parameters): Evaluator {
  const sub = (part: Expression): Evaluator => compile(part, parameters);
  switch (expression.kind) {
    case "constant":
      return () => expression.value;
    case "parameter": {
      const value = parameterValue(expression.name, parameters);
      return () => value;
    }
    case "property":
      return (message) => propertyValue(message, expression.property);
    case "property-named":
      return propertyNamed(sub(expression.name));
    case "new-id":
      return () => new Guid(Buffer.from(randomUUID().replaceAll("-", ""), "hex"));
    case "negate":
      return negate(sub(expression.operand));
    case "plus":
      return unary("+", sub(expression.operand), (value) => value);
    case "calculate":
      return binary(sub(expression.left), sub(expression.right), (a, b) => calculate(a, b, expression.operator));
    case "compare":
      return binary(sub(expression.left), sub(expression.right), comparison(expression.operator));
    case "is-null":
      return isNull(sub(expression.operand), expression.negated);
    case "in":
      return isIn(sub(expression.operand), expression.list.map(sub), expression.negated);
    case "like":
      return isLike(sub(expression.operand), sub(expression.pattern), expression.escape && sub(expression.escape), expression.negated);
    case "exists":
      return exists(expression.property);
    case "not":
      return not(sub(expression.operand));
    case "and":
      return and(sub(expression.left), sub(expression.right));
    case "or":
      return or(sub(expression.left), sub(expression.right));
  }
}

function parameterValue(name: string, parameters: Parameters): FilterValue {
  for (const [key, value] of parameters ?? []) {
    if (key.replace(/^@/, "").toLowerCase() === name.slice(1).toLowerCase()) return fromAmqp(value);
  }
  throw new FilterError(`The parameter '${name}' has no value.`);
}

function propertyValue(message: FilterableMessage, property: PropertyReference): FilterValue {
  return property.scope === "sys" ? message.system(property.name) : fromAmqp(message.user(property.name));
}

function propertyNamed(name: Evaluator): Evaluator {
  return (message) => {
    const value = name(message);
    if (isUnknown(value)) return undefined;
    if (typeof value !== "string") throw new FilterError(`The name of a property is a string, not '${typeName(value)}'.`);
    return fromAmqp(message.user(value));
  };
}

function negate(operand: Evaluator): Evaluator {
  return unary("-", operand, (value) => (typeof value === "bigint" ? BigInt.asIntN(64, -value) : -value));
}

function unary(operator: string, operand: Evaluator, apply: (value: bigint | number) => FilterValue): Evaluator {
  return (message) => {
    const value = operand(message);
    if (isUnknown(value)) return undefined;
    if (!isNumeric(value)) throw new FilterError(`Operator '${operator}' cannot be applied to an operand of type '${typeName(value)}'.`);
    return apply(value);
  };
}

/** Both sides are evaluated; the result is unknown when one of them is. */
function binary(left: Evaluator, right: Evaluator, apply: (a: FilterValue, b: FilterValue) => FilterValue): Evaluator {
  return (message) => {
    const a = left(message);
    const b = right(message);
    return isUnknown(a) || isUnknown(b) ? undefined : apply(a, b);
  };
}

function comparison(operator: string): (a: FilterValue, b: FilterValue) => boolean {
  switch (operator) {
    case "=":
      return areEqual;
    case "<>":
    case "!=":
      return (a, b) => !areEqual(a, b);
    case ">":
      return (a, b) => compare(a, b, operator) > 0;
    case ">=":
      return (a, b) => compare(a, b, operator) >= 0;
    case "<":
      return (a, b) => compare(a, b, operator) < 0;
    default:
      return (a, b) => compare(a, b, operator) <= 0;
  }
}

function isNull(operand: Evaluator, negated: boolean): Evaluator {
  return (message) => isUnknown(operand(message)) !== negated;
}

function isIn(operand: Evaluator, list: readonly Evaluator[], negated: boolean): Evaluator {
  return (message) => {
    const value = operand(message);
    if (isUnknown(value)) return undefined;
    return list.some((item) => areEqual(value, item(message))) !== negated;
  };
}

function isLike(operand: Evaluator, pattern: Evaluator, escapeWith: Evaluator | undefined, negated: boolean): Evaluator {
  return (message) => {
    const values = [operand(message), pattern(message), escapeWith ? escapeWith(message) : ""];
    if (values.some(isUnknown)) return undefined;
    const [value, like, escapeCharacter] = values;
    if (typeof value !== "string" || typeof like !== "string" || typeof escapeCharacter !== "string") {
      throw new FilterError(`Operator 'LIKE' compares strings, not '${typeName(value)}' with '${typeName(like)}'.`);
    }
    return likePattern(like, escapeCharacter)(value) !== negated;
  };
}

function exists(property: PropertyReference): Evaluator {
  if (property.scope === "user") return (message) => message.user(property.name) !== undefined;
  return (message) => !isUnknown(message.system(property.name));
}

/** Logic with three values: true, false, unknown. */
function not(operand: Evaluator): Evaluator {
  return (message) => {
    const value = truth(operand(message), "NOT");
    return value === undefined ? undefined : !value;
  };
}

function and(left: Evaluator, right: Evaluator): Evaluator {
  return (message) => {
    const a = truth(left(message), "AND");
    if (a === false) return false;
    const b = truth(right(message), "AND");
    return b === false ? false : a === true && b === true ? true : undefined;
  };
}

function or(left: Evaluator, right: Evaluator): Evaluator {
  return (message) => {
    const a = truth(left(message), "OR");
    if (a === true) return true;
    const b = truth(right(message), "OR");
    return b === true ? true : a === false && b === false ? false : undefined;
  };
}

/** @throws FilterError for a value that is neither a boolean nor unknown. */
export function truth(value: FilterValue, where: string): boolean | undefined {
  if (isUnknown(value)) return undefined;
  if (typeof value === "boolean") return value;
  throw new FilterError(`${where} takes conditions, not a value of type '${typeName(value)}'.`);
}

function isUnknown(value: FilterValue): value is null | undefined {
  return value === undefined || value === null;
}
