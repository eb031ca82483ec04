import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Schema } from "../../../src/contracts/schema.js";
import { InvalidMessageError, TrolleybusError } from "../../../src/errors.js";
import { defineMessage } from "../../../src/messages/define-message.js";
import { materialize } from "../../../src/messages/materialize.js";
import { messageTypeOf } from "../../../src/messages/message-type.js";
import { wireTextOf } from "../../../src/messages/wire-text.js";

class PaymentTaken extends defineMessage(
  "shop.payment-taken",
  z.object({ orderId: z.string(), amount: z.number().positive(), at: z.coerce.date() }),
) {
  get label(): string {
    return `${this.orderId} at ${this.at.getUTCFullYear()}`;
  }
}
const input = { orderId: "o1", amount: 5, at: "2026-01-31T12:00:00Z" };

/** A schema by hand, to answer what no library would. */
function schema(validate: (value: unknown) => unknown): Schema<unknown, object> {
  return { "~standard": { version: 1, vendor: "test", validate: validate as never } };
}

describe("a message made", () => {
  test("has what the schema made of the input, the prototype of its class, and is frozen", () => {
    const message = new PaymentTaken(input);
    expect(message).toBeInstanceOf(PaymentTaken);
    expect({ ...message }).toEqual({ orderId: "o1", amount: 5, at: new Date("2026-01-31T12:00:00Z") });
    expect(message.label).toBe("o1 at 2026");
    expect(Object.isFrozen(message)).toBe(true);
    expect(messageTypeOf(message)).toBe("shop.payment-taken");
  });

  test("travels as the input, so that transforms run once, at the reader", () => {
    const Trimmed = defineMessage("shop.trimmed", z.object({ text: z.string().transform((text) => `${text}!`) }));
    const sent = new Trimmed({ text: "a" });
    expect(sent.text).toBe("a!");
    expect(wireTextOf(sent)).toBe('{"text":"a"}');
    const received = materialize(Trimmed, JSON.parse(wireTextOf(sent)));
    expect(received).toHaveProperty("text", "a!");
    expect(wireTextOf(received)).toBe('{"text":"a"}');
  });

  test("travels as the input was when it was made, whatever becomes of the object", () => {
    const data = { orderId: "o1", amount: 5, at: new Date(0), list: [1] };
    const message = new PaymentTaken(data);
    data.orderId = "changed";
    data.list.push(2);
    data.at.setFullYear(2020);
    expect(JSON.parse(wireTextOf(message))).toEqual({ orderId: "o1", amount: 5, at: "1970-01-01T00:00:00.000Z", list: [1] });
  });

  test("that is wrong is refused with the issues of the schema, in the text too", () => {
    try {
      new PaymentTaken({ ...input, orderId: 7 as never, amount: -1 });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidMessageError);
      const { issues, message } = error as InvalidMessageError;
      expect(issues.map(({ path }) => path)).toEqual([["orderId"], ["amount"]]);
      expect(message).toMatch(/^Not a valid "shop.payment-taken": orderId: .*; amount: /);
    }
  });

  test("with hundreds of issues has a short text and all issues", () => {
    const Many = defineMessage("shop.many", z.object({ list: z.array(z.number()) }));
    try {
      new Many({ list: Array.from({ length: 500 }, () => "x") as never });
      expect.unreachable();
    } catch (error) {
      expect((error as InvalidMessageError).issues).toHaveLength(500);
      expect((error as InvalidMessageError).message).toMatch(/and 495 more$/);
    }
  });

  test("from what JSON cannot carry, or what every receiver would refuse, is refused at once", () => {
    const Any = defineMessage("shop.any", z.looseObject({}));
    expect(() => new Any({ price: 1n } as never)).toThrow("BigInt");
    expect(() => new Any(JSON.parse('{"a":{"__proto__":1}}') as never)).toThrow("__proto__");
  });

  test("keeps a constructor of the subclass, which does not run for what is received", () => {
    class Refunded extends defineMessage("shop.refunded", z.object({ orderId: z.string(), cents: z.number() })) {
      constructor(orderId: string, euros: number) {
        super({ orderId, cents: euros * 100 });
      }
    }
    expect({ ...new Refunded("o1", 2) }).toEqual({ orderId: "o1", cents: 200 });
    const received = materialize(Refunded, { orderId: "o1", cents: 200 });
    expect(received).toBeInstanceOf(Refunded);
    expect({ ...received }).toEqual({ orderId: "o1", cents: 200 });
  });

  test("shadows accessors of its class instead of calling them", () => {
    class Labelled extends defineMessage("shop.labelled", z.looseObject({})) {
      set label(_: unknown) {
        throw new Error("must not be called");
      }
    }
    expect(new Labelled({ label: "x" })).toHaveProperty("label", "x");
  });
});

describe("a message received", () => {
  test("is checked by the schema, gets its class, and travels on as it came", () => {
    const data = { ...input, unknown: "to this version" };
    const message = materialize(PaymentTaken, data);
    expect(message).toBeInstanceOf(PaymentTaken);
    expect(message).toMatchObject({ at: new Date("2026-01-31T12:00:00Z"), label: "o1 at 2026" });
    expect(Object.isFrozen(message)).toBe(true);
    expect(JSON.parse(wireTextOf(message))).toEqual(data);
  });

  test("that is wrong is invalid, with the issues", () => {
    for (const data of [{}, null, undefined, [], "text"]) expect(() => materialize(PaymentTaken, data)).toThrow(InvalidMessageError);
  });

  test("fromWire works without its class too", () => {
    const { fromWire } = PaymentTaken;
    expect(fromWire(input)).toMatchObject({ orderId: "o1" });
  });
});

describe("schemas", () => {
  test("of zod, valibot and arktype make the same message", () => {
    const classes = [
      defineMessage("shop.z", z.object({ sku: z.string(), left: z.number().default(0) })),
      defineMessage("shop.v", v.object({ sku: v.string(), left: v.optional(v.number(), 0) })),
      defineMessage("shop.a", type({ sku: "string", left: "number = 0" })),
    ];
    for (const Class of classes) {
      expect({ ...new Class({ sku: "s" }) }).toEqual({ sku: "s", left: 0 });
      expect(wireTextOf(new Class({ sku: "s" }))).toBe('{"sku":"s"}');
      expect(() => new Class({ sku: 7 } as never)).toThrow(InvalidMessageError);
    }
  });

  test("with a union at the root work as a constant", () => {
    const Refund = defineMessage(
      "shop.refund",
      z.union([z.object({ kind: z.literal("full") }), z.object({ kind: z.literal("part"), amount: z.number() })]),
    );
    expect({ ...new Refund({ kind: "part", amount: 1 }) }).toEqual({ kind: "part", amount: 1 });
    expect(materialize(Refund, { kind: "full" })).toBeInstanceOf(Refund);
  });

  test("that are asynchronous are refused with a clear text, and their rejection ends nobody's process", async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listener);
    try {
      const Async = defineMessage("shop.async", z.object({ id: z.string().refine(async () => true) }));
      const Rejecting = defineMessage(
        "shop.rejecting",
        schema(() => Promise.reject(new Error("late"))),
      );
      expect(() => new Async({ id: "x" })).toThrow("asynchronous");
      expect(() => new Rejecting({})).toThrow("asynchronous");
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", listener);
    }
  });

  test("that throw make the message invalid, with the cause", () => {
    const cause = new Error("broken schema");
    const Broken = defineMessage(
      "shop.broken",
      schema(() => {
        throw cause;
      }),
    );
    expect(() => new Broken({})).toThrow(expect.objectContaining({ name: "InvalidMessageError", cause }));
  });

  test.each([null, "text", 7, [[1]]])("that make %j, which is no object, make the message invalid", (value) => {
    const Wrong = defineMessage(
      "shop.wrong",
      schema(() => ({ value })),
    );
    expect(() => new Wrong({})).toThrow("something else than an object");
  });

  test.each([undefined, null, {}, { "~standard": { version: 2 } }, { parse: () => ({}) }])("%j is none: a mistake at once", (wrong) => {
    expect(() => defineMessage("shop.x", wrong as never)).toThrow(TrolleybusError);
    expect(() => defineMessage("shop.x", wrong as never)).toThrow("Standard Schema");
  });
});

test("a name outside the grammar is a mistake at once", () => {
  expect(() => defineMessage("shop.payment_taken", z.object({}))).toThrow(TrolleybusError);
  expect(() => defineMessage("shop.payment_taken", z.object({}))).toThrow('"_"');
});
