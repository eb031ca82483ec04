import { type AmqpValue, described, isDescribed, isList, isMap, map, symbol, textOf, ulong } from "./values.js";

const SOURCE = 0x28n;
const TARGET = 0x29n;
const COORDINATOR = 0x30n;
/** Where a source has its filters (AMQP 1.0 part 3, 3.5.3). */
const FILTER_FIELD = 7;

/** The address of a source or target; undefined when there is none. */
export function addressOf(terminus: AmqpValue | undefined): string | undefined {
  return textOf(fieldsOf(terminus)[0]);
}

/** The value of a source's filter, described or plain as the client wrote it; undefined when the source has no such filter. */
export function filterOf(source: AmqpValue | undefined, name: string): AmqpValue | undefined {
  const filters = fieldsOf(source)[FILTER_FIELD];
  if (!isMap(filters)) return undefined;
  return filters.entries.find(([key]) => textOf(key) === name)?.[1];
}

/** A source with one filter set to a value, in the form (described or plain) in which the client gave it. */
export function withFilter(source: AmqpValue | undefined, name: string, value: AmqpValue): AmqpValue {
  const fields = [...fieldsOf(source)];
  while (fields.length <= FILTER_FIELD) fields.push(null);
  const given = filterOf(source, name);
  const set = isDescribed(given) ? described(given.descriptor, value) : value;
  const filters = fields[FILTER_FIELD];
  const others = isMap(filters) ? filters.entries.filter(([key]) => textOf(key) !== name) : [];
  fields[FILTER_FIELD] = map([...others, [symbol(name), set]]);
  return described(ulong(SOURCE), fields);
}

/** A terminus as the peer gave it, or an empty one where it gave none: accepted links have both. */
export function sourceOrEmpty(source: AmqpValue | undefined): AmqpValue {
  return source ?? described(ulong(SOURCE), []);
}

export function targetOrEmpty(target: AmqpValue | undefined): AmqpValue {
  return target ?? described(ulong(TARGET), []);
}

/** Whether a target is the coordinator of transactions (AMQP 1.0 part 4, 4.5.1). */
export function isCoordinator(target: AmqpValue | undefined): boolean {
  if (!isDescribed(target)) return false;
  const { descriptor } = target;
  if (textOf(descriptor) === "amqp:coordinator:list") return true;
  return (
    typeof descriptor === "object" &&
    descriptor !== null &&
    "type" in descriptor &&
    descriptor.type === "ulong" &&
    descriptor.value === COORDINATOR
  );
}

function fieldsOf(terminus: AmqpValue | undefined): readonly AmqpValue[] {
  return isDescribed(terminus) && isList(terminus.value) ? terminus.value : [];
}
