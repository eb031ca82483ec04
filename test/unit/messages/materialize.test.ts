import { expect, test } from "vitest";
import type { MessageClass } from "../../../src/contracts/message-class.js";
import { InvalidMessageError } from "../../../src/errors.js";
import { materialize } from "../../../src/messages/materialize.js";

class OrderPlaced {
  static readonly messageType = "shop.order-placed";
  static constructed = 0;
  constructor(
    readonly orderId: string,
    readonly total: number,
  ) {
    OrderPlaced.constructed++;
  }
  get label(): string {
    return `order ${this.orderId}`;
  }
}

function withFromWire(fromWire: (data: unknown) => unknown): MessageClass {
  class Read {
    static readonly messageType = "shop.read";
    static readonly fromWire = fromWire as (data: unknown) => object;
    readonly orderId = "o1";
  }
  return Read;
}

test("the data gets the prototype of the class: instanceof and accessors work, the constructor does not run", () => {
  const message = materialize(OrderPlaced, { orderId: "o1", total: 5, unknown: [1] });
  expect(message).toBeInstanceOf(OrderPlaced);
  expect(message).toMatchObject({ orderId: "o1", total: 5, unknown: [1], label: "order o1" });
  expect(Object.keys(message)).toEqual(["orderId", "total", "unknown"]);
  expect(OrderPlaced.constructed).toBe(0);
});

test("the top level is a copy: what a run does to the message is not in the data", () => {
  const data = { orderId: "o1", total: 5 };
  Object.assign(materialize(OrderPlaced, data), { total: 6, added: true });
  expect(data).toEqual({ orderId: "o1", total: 5 });
});

test("data under the name of an accessor does not reach a setter", () => {
  expect(materialize(OrderPlaced, { label: "from the wire" })).toHaveProperty("label", "from the wire");
});

test.each([
  [undefined, "absent"],
  [null, "null"],
  [[], "an array"],
  ["text", "a string"],
  [7, "a number"],
  [true, "a boolean"],
])("data that is %j is invalid", (data, kind) => {
  expect(() => materialize(OrderPlaced, data)).toThrow(InvalidMessageError);
  expect(() => materialize(OrderPlaced, data)).toThrow(`"shop.order-placed" is ${kind}`);
});

test("fromWire decides, is given the data as it came, and is called on its class", () => {
  class ParcelSent {
    static readonly messageType = "shop.parcel-sent";
    static readonly fromWire = function (this: typeof ParcelSent, data: unknown): ParcelSent {
      return new this(new Date((data as { at: string }).at));
    };
    constructor(readonly at: Date) {}
  }
  class ExpressParcelSent extends ParcelSent {}
  const message = materialize(ExpressParcelSent, { at: "2026-01-01T00:00:00Z" });
  expect(message).toBeInstanceOf(ExpressParcelSent);
  expect(message).toMatchObject({ at: new Date("2026-01-01T00:00:00Z") });
  const list = [1];
  expect(
    materialize(
      withFromWire((data) => ({ data })),
      list,
    ),
  ).toEqual({ data: list });
});

test.each([new TypeError("no orderId"), "text", undefined, null])(
  "what fromWire throws (%s) makes the message invalid, as the cause",
  (thrown) => {
    try {
      materialize(
        withFromWire(() => {
          throw thrown;
        }),
        {},
      );
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidMessageError);
      expect(error).toHaveProperty("message", expect.stringContaining(`fromWire of "shop.read"`));
      expect((error as Error).cause).toBe(thrown);
    }
  },
);

test("an InvalidMessageError of fromWire, with the issues of its schema, is passed on as it is", () => {
  const thrown = new InvalidMessageError("no", { cause: undefined, issues: [{ message: "bad" }] });
  const read = withFromWire(() => {
    throw thrown;
  });
  expect(() => materialize(read, {})).toThrow(thrown);
});

test.each([undefined, null, 7, "text"])("fromWire that returns %j makes the message invalid", (returned) => {
  expect(() =>
    materialize(
      withFromWire(() => returned),
      {},
    ),
  ).toThrow(/returned (undefined|null|number|string), not the message/);
});

test("an asynchronous fromWire makes the message invalid, and its rejection ends nobody's process", async () => {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", listener);
  try {
    expect(() =>
      materialize(
        withFromWire(async () => Promise.reject(new Error("late"))),
        {},
      ),
    ).toThrow("returned a promise");
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", listener);
  }
});
