import { expect, test } from "vitest";
import { InvalidMessageError } from "../../../src/errors.js";
import { messageTypeOf } from "../../../src/messages/message-type.js";

class OrderPlaced {
  static readonly messageType = "shop.order-placed";
  readonly orderId = "o1";
}
class UrgentOrderPlaced extends OrderPlaced {}
class RenamedOrderPlaced extends OrderPlaced {
  static override readonly messageType = "shop.order-placed.v2" as "shop.order-placed";
}
class NoType {}

test("the type is the static of the message's class, its own or inherited", () => {
  for (let again = 0; again < 2; again++) {
    expect(messageTypeOf(new OrderPlaced())).toBe("shop.order-placed");
    expect(messageTypeOf(new UrgentOrderPlaced())).toBe("shop.order-placed");
    expect(messageTypeOf(new RenamedOrderPlaced())).toBe("shop.order-placed.v2");
  }
});

test("a message whose data has a property constructor keeps its type", () => {
  const message = Object.assign(new OrderPlaced(), { constructor: NoType, messageType: "shop.other" });
  expect(messageTypeOf(message)).toBe("shop.order-placed");
});

test("an object with the prototype alone is a message of the class", () => {
  expect(messageTypeOf(Object.create(OrderPlaced.prototype))).toBe("shop.order-placed");
});

test.each([
  [new NoType(), "The class NoType has no static messageType"],
  [new (class {})(), "has no static messageType"],
  [{}, "A plain object has no messageType"],
  [{ messageType: "shop.order-placed" }, "A plain object has no messageType"],
  [{ constructor: OrderPlaced }, "A plain object has no messageType"],
  [Object.create(null), "without a prototype"],
  [[new OrderPlaced()], "publish one at a time"],
  [OrderPlaced, "publish new OrderPlaced(...)"],
  [() => {}, "A function is not a message"],
  ["shop.order-placed", "A string is not a message"],
  [7, "A number is not a message"],
  [null, "null is not a message"],
  [undefined, "undefined is not a message"],
  [Promise.resolve(new OrderPlaced()), "A promise is not a message: await it first"],
  [new Date(), "The class Date has no static messageType"],
])("%# is refused, and the text says what it is", (message, why) => {
  expect(() => messageTypeOf(message as object)).toThrow(InvalidMessageError);
  expect(() => messageTypeOf(message as object)).toThrow(why);
});

test.each([
  ["shop.order_placed", "Kafka"],
  ["", "empty"],
  [7, "not text"],
  ["amq.x", "RabbitMQ"],
])("a class whose messageType is %j is refused, at every call", (messageType, why) => {
  class Wrong {
    static readonly messageType = messageType;
    readonly orderId = "o1";
  }
  expect(() => messageTypeOf(new Wrong())).toThrow(why);
  expect(() => messageTypeOf(new Wrong())).toThrow("The class Wrong has a wrong static messageType");
});
