import { type AmqpValue, integerOf } from "../amqp/values.js";
import type { RuleAction } from "../broker/contracts.js";
import { compile } from "./evaluate.js";
import { type FilterValue, isNumeric, toAmqp } from "./filter-value.js";
import type { ChangeableMessage } from "./filterable-message.js";
import { parseAction } from "./parser.js";

/** Changes a message. @throws FilterError when it cannot be evaluated. */
export type CompiledAction = (message: ChangeableMessage) => void;

/** @throws FilterError when the expression is wrong. */
export function compileAction(action: RuleAction): CompiledAction {
  const steps = parseAction(action.expression).map((statement): CompiledAction => {
    const { scope, name } = statement.property;
    if (statement.kind === "remove") {
      return (message) => (scope === "sys" ? message.setSystem(name, null) : message.setUser(name, undefined));
    }
    const value = compile(statement.value, action.parameters);
    if (scope === "sys") return (message) => message.setSystem(name, value(message));
    return (message) => message.setUser(name, converted(value(message), message.user(name)));
  });
  return (message) => {
    for (const step of steps) step(message);
  };
}

/** The range of each integer type. */
const INTEGER_BITS: Readonly<Record<string, readonly [bits: number, signed: boolean]>> = {
  ubyte: [8, false],
  ushort: [16, false],
  uint: [32, false],
  ulong: [64, false],
  byte: [8, true],
  short: [16, true],
  int: [32, true],
  long: [64, true],
};

/** A new value in the type of the one that it takes the place of, where it fits into that. An unknown value leaves no property. */
function converted(value: FilterValue, existing: AmqpValue | undefined): AmqpValue | undefined {
  if (value === undefined) return undefined;
  if (typeof existing === "string" && value !== null) return String(value);
  if (!isNumeric(value) || typeof existing !== "object" || existing === null || !("type" in existing)) return toAmqp(value);
  if (existing.type === "double" || existing.type === "float") return { type: existing.type, value: Number(value) };
  const range = INTEGER_BITS[existing.type];
  if (integerOf(existing) === undefined || !range) return toAmqp(value);
  return inRange(value, existing.type, range) ?? toAmqp(value);
}

function inRange(value: bigint | number, type: string, [bits, signed]: readonly [number, boolean]): AmqpValue | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return undefined;
  const integer = typeof value === "bigint" ? value : BigInt(Math.trunc(value));
  if ((signed ? BigInt.asIntN(bits, integer) : BigInt.asUintN(bits, integer)) !== integer) return undefined;
  if (type === "long" || type === "ulong") return { type, value: integer };
  return { type: type as "int", value: Number(integer) };
}
