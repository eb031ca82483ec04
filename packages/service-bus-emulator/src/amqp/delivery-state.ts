import { AmqpError } from "./amqp-error.js";
import { type AmqpMap, type AmqpValue, described, integerOf, isDescribed, isList, isMap, map, symbol, textOf, ulong } from "./values.js";

const ERROR = 0x1dn;
const RECEIVED = 0x23n;
const ACCEPTED = 0x24n;
const REJECTED = 0x25n;
const RELEASED = 0x26n;
const MODIFIED = 0x27n;

/** How a receiver settles a delivery (AMQP 1.0 part 3, 3.4). */
export type DeliveryState =
  | { readonly kind: "received" }
  | { readonly kind: "accepted" }
  | {
      readonly kind: "rejected";
      readonly condition: string | undefined;
      readonly description: string | undefined;
      readonly info: AmqpMap | undefined;
    }
  | { readonly kind: "released" }
  | { readonly kind: "modified"; readonly undeliverableHere: boolean; readonly annotations: AmqpMap | undefined };

export const ACCEPTED_STATE: AmqpValue = described(ulong(ACCEPTED), []);
/** As an answer to a receiver that rejects: it is done as asked, so that no error is told. */
export const REJECTED_AS_ASKED: AmqpValue = described(ulong(REJECTED), []);

/** @throws AmqpError "amqp:not-implemented" for a state of a transaction, "amqp:decode-error" for anything else that is none of them */
export function readDeliveryState(value: AmqpValue): DeliveryState {
  const code = isDescribed(value) ? stateCode(value.descriptor) : undefined;
  const fields = isDescribed(value) && isList(value.value) ? value.value : [];
  switch (code) {
    case RECEIVED:
      return { kind: "received" };
    case ACCEPTED:
      return { kind: "accepted" };
    case REJECTED:
      return { kind: "rejected", ...readError(fields[0]) };
    case RELEASED:
      return { kind: "released" };
    case MODIFIED: {
      const annotations = fields[2];
      return { kind: "modified", undeliverableHere: fields[1] === true, annotations: isMap(annotations) ? annotations : undefined };
    }
    case 0x34n:
      throw new AmqpError("amqp:not-implemented", "Transactions are not implemented.");
    default:
      throw new AmqpError("amqp:decode-error", "A delivery state is none of received, accepted, rejected, released and modified.");
  }
}

const SYMBOLIC: Readonly<Record<string, bigint>> = {
  "amqp:received:list": RECEIVED,
  "amqp:accepted:list": ACCEPTED,
  "amqp:rejected:list": REJECTED,
  "amqp:released:list": RELEASED,
  "amqp:modified:list": MODIFIED,
};

function stateCode(descriptor: AmqpValue): bigint | undefined {
  return integerOf(descriptor) ?? SYMBOLIC[textOf(descriptor) ?? ""];
}

function readError(value: AmqpValue | undefined): {
  condition: string | undefined;
  description: string | undefined;
  info: AmqpMap | undefined;
} {
  const [condition, description, info] = isDescribed(value) && isList(value.value) ? value.value : [];
  return { condition: textOf(condition), description: textOf(description), info: isMap(info) ? info : undefined };
}

/** An error with all of its three fields: Python's client waits for ever for one whose info is missing. */
export function errorValue(error: AmqpError): AmqpValue {
  return described(ulong(ERROR), [symbol(error.condition), error.message, error.info ?? map([])]);
}

export function rejectedState(error: AmqpError): AmqpValue {
  return described(ulong(REJECTED), [errorValue(error)]);
}
