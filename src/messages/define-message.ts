import type { DefinedMessageClass } from "../contracts/defined-message-class.js";
import type { InputOf, OutputOf, Schema, SchemaIssue } from "../contracts/schema.js";
import type { WireSafeSchema } from "../contracts/wire-safe.js";
import { InvalidMessageError, TrolleybusError } from "../errors.js";
import { abandon } from "../util/abandon.js";
import { mistakeInMessageType } from "../util/names.js";
import { encodeJson } from "../wire/safe-json.js";
import { copyProperties } from "./copy-properties.js";
import { keepWireData, keepWireText } from "./wire-text.js";

/**
 * A message checked by a schema, at both ends: when it is made and when it is received.
 *
 * ```ts
 * export class PaymentTaken extends defineMessage("shop.payment-taken", z.object({ orderId: z.string(), amount: z.number() })) {}
 * await bus.publish(new PaymentTaken({ orderId, amount }));
 * ```
 * The wire carries the schema's **input**, as it was when the message was made, so that transforms run once, at the reader. Instances are
 * frozen. The root is an object; an input that JSON cannot carry (`z.date()`) does not compile: use `z.coerce.date()`. Asynchronous
 * schemas are refused. For a union at the root, where a class cannot extend, use `const`: `export const Refund = defineMessage("...", z.union([...]))`.
 *
 * Any validator that implements Standard Schema 1 will do: zod, valibot, arktype and others.
 * @throws TrolleybusError "configuration" when the name is outside the grammar (see `MessageClass.messageType`) or `schema` is none.
 */
export function defineMessage<S extends Schema<unknown, object>>(
  messageType: string,
  schema: S & WireSafeSchema<S>,
): DefinedMessageClass<InputOf<S>, OutputOf<S> extends object ? OutputOf<S> : never> {
  const mistake = mistakeInMessageType(messageType) ?? mistakeInSchema(messageType, schema);
  if (mistake !== undefined) throw new TrolleybusError("configuration", mistake, { cause: undefined, retryable: false });

  class DefinedMessage {
    static readonly messageType = messageType;

    static readonly fromWire = function (this: unknown, data: unknown): object {
      const derived = typeof this === "function" && this.prototype instanceof DefinedMessage ? this : DefinedMessage;
      // Not `new derived(data)`: a constructor of the user's takes whatever he likes, and is not run for what was received.
      return Reflect.construct(DefinedMessage, [data, RECEIVED], derived);
    };

    constructor(data: unknown, origin?: typeof RECEIVED) {
      const output = validate(messageType, schema, data);
      if (origin === RECEIVED) keepWireData(this, data);
      else keepWireText(this, encodeJson(data));
      copyProperties(this, output);
      Object.freeze(this);
    }
  }
  return DefinedMessage as unknown as DefinedMessageClass<InputOf<S>, OutputOf<S> extends object ? OutputOf<S> : never>;
}

const RECEIVED: unique symbol = Symbol("received");

function mistakeInSchema(messageType: string, schema: unknown): string | undefined {
  const standard = (schema as Partial<Schema> | null | undefined)?.["~standard"];
  if (standard?.version === 1 && typeof standard.validate === "function") return undefined;
  return `The schema of "${messageType}" does not implement Standard Schema 1: give one of zod (3.24 or later), valibot (1 or later), arktype or another that does.`;
}

function validate(messageType: string, schema: Schema, data: unknown): object {
  let result: ReturnType<Schema["~standard"]["validate"]>;
  try {
    result = schema["~standard"].validate(data);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidMessageError(`The schema of "${messageType}" threw: ${reason}`, { cause: error, issues: [] });
  }
  if (result instanceof Promise || "then" in result) {
    abandon(result);
    throw new InvalidMessageError(
      `The schema of "${messageType}" is asynchronous, and a constructor cannot wait: check what needs I/O in the consumer.`,
      { cause: undefined, issues: [] },
    );
  }
  if (result.issues !== undefined) {
    throw new InvalidMessageError(`Not a valid "${messageType}": ${textOf(result.issues)}`, { cause: undefined, issues: result.issues });
  }
  const output = result.value;
  if (typeof output === "object" && output !== null && !Array.isArray(output)) return output;
  throw new InvalidMessageError(`The schema of "${messageType}" made something else than an object, and a message is one.`, {
    cause: undefined,
    issues: [],
  });
}

const SHOWN_ISSUES = 5;

function textOf(issues: readonly SchemaIssue[]): string {
  const shown = issues.slice(0, SHOWN_ISSUES).map((issue) => {
    const path = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  const more = issues.length - shown.length;
  return shown.join("; ") + (more > 0 ? `; and ${more} more` : "");
}
