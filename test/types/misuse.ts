/** What must not compile: a line that does is an error, for its directive is then unused. Compiled, never run. */
import { createBus, defineMessage, type IConsumer, memoryStore, type Receivable } from "trolleybus";
import { z } from "zod";
import { OrderCancelled, OrderPlaced, PaymentTaken, type Shipments, ShippingConsumer, StockLow } from "./usage.js";

class NoType {
  constructor(readonly orderId: string) {}
}
class WithDate {
  static readonly messageType = "x.with-date";
  constructor(readonly at: Date) {}
}
class WithDeepMap {
  static readonly messageType = "x.deep";
  constructor(readonly a: { readonly b: readonly { m: Map<string, string> }[] }) {}
}
class WithBrandedDate {
  static readonly messageType = "x.with-branded-date";
  constructor(readonly at: Date & { readonly __brand: "Due" }) {}
}

/** The error names the path of the field. */
export const unreadable: Receivable<typeof WithDeepMap> = {
  "this field does not come off the wire as its type says; give the class a static fromWire()": "a.b[].m",
};

declare const wrongConsumer: IConsumer<PaymentTaken>;
declare const needsMore: IConsumer<{ orderId: string; customerId: string; vip: boolean }>;
declare const shipments: Shipments;

export async function misuse(): Promise<void> {
  const bus = createBus({ service: "x", transport: "memory:" });
  // @ts-expect-error the static messageType is missing
  bus.subscribe(NoType, async () => {});
  // @ts-expect-error a Date comes off the wire as text: `at` needs fromWire or a schema
  bus.subscribe(WithDate, async () => {});
  // @ts-expect-error the path is named: "a.b[].m"
  bus.subscribe(WithDeepMap, async () => {});
  // @ts-expect-error a brand makes no text of a Date
  bus.subscribe(WithBrandedDate, async () => {});
  // @ts-expect-error z.date() cannot read what JSON carried
  defineMessage("x.date", z.object({ at: z.date() }));
  // @ts-expect-error the root must be an object
  defineMessage("x.text", z.string());
  // @ts-expect-error the class instead of an instance
  await bus.publish(OrderPlaced);
  // @ts-expect-error an array
  await bus.publish([new OrderPlaced("a", "b")]);
  // @ts-expect-error not an object
  await bus.publish("shop.order-placed");
  // @ts-expect-error a field of the schema is missing
  new PaymentTaken({ orderId: "o", at: "2026-01-01" });
  // @ts-expect-error a field has the wrong type
  new StockLow({ sku: 1 });
  // @ts-expect-error a consumer of another message
  bus.subscribe(OrderPlaced, wrongConsumer);
  // @ts-expect-error a consumer that needs more than the message has
  bus.subscribe(OrderPlaced, needsMore);
  // @ts-expect-error a consumer class of another message
  bus.subscribe(PaymentTaken, ShippingConsumer);
  // @ts-expect-error a consumer of one type given both
  bus.subscribe([OrderPlaced, OrderCancelled], new ShippingConsumer(shipments));
  // @ts-expect-error a function of another message
  bus.subscribe(OrderPlaced, (message: PaymentTaken) => message.amount);
  // @ts-expect-error the service is missing
  createBus({ transport: "memory:" });
  // @ts-expect-error not a duration
  createBus({ service: "x", transport: "memory:", handlerTimeout: "5 minutes" });
  // @ts-expect-error no such transport
  createBus({ service: "x", transport: { type: "rabitmq", url: "amqp://x" } });
  // @ts-expect-error a method is the wrong name
  bus.subscribe(OrderPlaced, { handle: async () => {} });
  // @ts-expect-error an option of the service's own endpoint alone
  createBus({ service: "x", transport: "memory:", order: "key" });
  // @ts-expect-error a command needs the name of its endpoint
  await bus.send(new OrderPlaced("a", "b"));
  // @ts-expect-error a function is not a message
  await bus.publish(() => {});
  // @ts-expect-error headers are text
  await bus.publish(new OrderPlaced("a", "b"), { headers: { "tenant-id": 7 } });
  // @ts-expect-error no such option
  memoryStore({ max: 5 });
}
