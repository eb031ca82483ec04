/** How the contracts read in a service. Compiled, never run. */
import {
  type ConsumeContext,
  createBus,
  defineMessage,
  type IConsumer,
  type IEventBus,
  type Logger,
  type MessageOf,
  memoryStore,
  NonRetryableError,
  PublishError,
  type Schema,
  type Store,
  type Transport,
  TrolleybusError,
  type WireFormat,
} from "trolleybus";
import * as v from "valibot";
import { z } from "zod";

export class OrderPlaced {
  static readonly messageType = "shop.order-placed";
  constructor(
    readonly orderId: string,
    readonly customerId: string,
  ) {}
  get label(): string {
    return `order ${this.orderId}`;
  }
}

export class OrderCancelled {
  static readonly messageType = "shop.order-cancelled";
  constructor(
    readonly orderId: string,
    readonly reason: string,
  ) {}
}

export class PaymentTaken extends defineMessage(
  "shop.payment-taken",
  z.object({ orderId: z.string(), amount: z.number().positive(), at: z.coerce.date() }),
) {}

export class StockLow extends defineMessage("shop.stock-low", v.object({ sku: v.string(), left: v.optional(v.number(), 0) })) {}

export const Refund = defineMessage(
  "shop.refund",
  z.union([z.object({ kind: z.literal("full") }), z.object({ kind: z.literal("part"), amount: z.number() })]),
);
export type Refund = MessageOf<typeof Refund>;

/** A field that is not JSON in a class written by hand: the class says how to read it. */
export class ParcelSent {
  static readonly messageType = "shop.parcel-sent";
  static fromWire(data: unknown): ParcelSent {
    const { parcelId, at } = data as { parcelId: string; at: string };
    return new ParcelSent(parcelId, new Date(at));
  }
  constructor(
    readonly parcelId: string,
    readonly at: Date,
  ) {}
}

/** Branded primitives, as services that tell their ids apart have them: on the wire they are text, numbers and booleans like others. */
export type OrderId = string & { readonly __brand: "OrderId" };
export class InvoiceDue {
  static readonly messageType = "shop.invoice-due";
  constructor(
    readonly orderId: OrderId,
    readonly cents: number & { readonly __brand: "Cents" },
    readonly lines: readonly { readonly orderId?: OrderId | null; readonly paid: boolean & { readonly __brand: "Paid" } }[],
  ) {}
}

export interface Shipments {
  create(orderId: string): Promise<void>;
}

export class ShippingConsumer implements IConsumer<OrderPlaced> {
  constructor(private readonly shipments: Shipments) {}
  async consume(message: OrderPlaced, context: ConsumeContext): Promise<void> {
    if (message.orderId === "") throw new NonRetryableError("no order id");
    await this.shipments.create(message.orderId);
    await context.publish(new OrderCancelled(message.orderId, "test"));
  }
}

/** One class, two types. */
export class OrderLog implements IConsumer<OrderPlaced | OrderCancelled> {
  async consume(message: OrderPlaced | OrderCancelled): Promise<void> {
    if (message instanceof OrderPlaced) message.customerId satisfies string;
    else message.reason satisfies string;
  }
}

declare const shipments: Shipments;
declare const container: { get<C>(type: new (...args: never[]) => C): C };
/** Containers as their packages declare them. */
// biome-ignore lint/suspicious/noExplicitAny: the constructors of tsyringe, Inversify and NestJS take any arguments
type Newable<C> = new (...args: any[]) => C;
// biome-ignore lint/suspicious/noExplicitAny: as above
type AbstractNewable<C> = abstract new (...args: any[]) => C;
declare const tsyringe: { resolve<C>(token: Newable<C> | string | symbol): C };
declare const inversify: { get<C>(id: string | symbol | Newable<C> | AbstractNewable<C>): C; getAsync<C>(id: Newable<C>): Promise<C> };
declare const nest: { create<C = unknown>(type: Newable<C>): Promise<C> };
declare const transport: Transport;
declare const store: Store;
declare const log: (...values: unknown[]) => void;

export async function main(): Promise<void> {
  await using bus = createBus({
    service: "shipping",
    transport: process.env["BUS_URL"] ?? "memory:",
    resolve: (type) => container.get(type),
    retry: { immediate: 2, delays: ["10s", "1m", "10m"], giveUpOn: [TypeError, (error) => error instanceof RangeError] },
    deduplication: { window: "1h" },
    propagateHeaders: ["tenant-id"],
    publishes: [OrderPlaced, PaymentTaken, Refund],
    store: memoryStore({ maxIds: 1000 }),
    logger: console satisfies Logger,
  });
  bus
    .use(async ({ message, messageType, attempt }, next) => {
      log(messageType, attempt, message instanceof OrderPlaced);
      await next();
    })
    .useOutgoing((context, next) => {
      context.headers["tenant-id"] ??= "t1";
      return next();
    });

  bus.subscribe(OrderPlaced, new ShippingConsumer(shipments)); // an object
  bus.subscribe(OrderPlaced, ShippingConsumer); // a class: through `resolve`
  bus.subscribe(OrderPlaced, async (message, context) => {
    message.customerId satisfies string;
    message.label satisfies string; // the prototype is there
    context.signal.throwIfAborted();
  });
  bus.subscribe(PaymentTaken, (message) => {
    message.at.getTime() satisfies number; // the schema's output: a Date
  });
  bus.subscribe(StockLow, ({ left }) => {
    left satisfies number; // the schema's output: the default is there
  });
  bus.subscribe(Refund, (refund) => {
    if (refund.kind === "part") refund.amount satisfies number;
  });
  bus.subscribe(ParcelSent, ({ at }) => {
    at satisfies Date;
  });
  bus.subscribe(InvoiceDue, ({ orderId }) => {
    orderId satisfies OrderId;
  });
  bus.subscribe([OrderPlaced, OrderCancelled], new OrderLog());
  bus.subscribe([OrderPlaced, OrderCancelled], (message) => {
    message.orderId satisfies string;
  });
  bus
    .endpoint("shipping-audit", { concurrency: 1, order: "key", retry: false, deduplication: false, handlerTimeout: 5000 })
    .subscribe(OrderPlaced, async (message) => log(message.orderId))
    .unsubscribe(OrderCancelled);

  await bus.start();
  await bus.within({}).publish(new OrderPlaced("o0", "c1"));
  await bus.publish(new OrderPlaced("o1", "c1"));
  await bus.publish(new PaymentTaken({ orderId: "o1", amount: 5, at: new Date() }), { partitionKey: "o1", headers: { "tenant-id": "t1" } });
  await bus.publish(new StockLow({ sku: "s" }));
  await bus.publish(new Refund({ kind: "part", amount: 1 }));
  await bus.send("billing", new OrderCancelled("o1", "late"));
  try {
    await bus.publish(new OrderPlaced("o2", "c1"));
  } catch (error) {
    if (error instanceof PublishError && error.outcome === "unknown") {
      await bus.publish(new OrderPlaced("o2", "c1"), { messageId: error.messageId });
    }
    if (error instanceof TrolleybusError) error.code satisfies string;
  }
  await bus.deadLetters().process((letter) => (letter.failure.reason === "failed" ? "replay" : "keep"), { limit: 100 });
  bus.health().endpoints.map(({ name }) => name) satisfies string[];
  await bus.stop({ deadline: "10s" });
}

export function transports(): void {
  createBus({ service: "x", transport: { type: "kafka", brokers: ["a:9092"] } });
  createBus({ service: "x", transport: { type: "rabbitmq", url: ["amqp://a", "amqp://b"], heartbeat: 10 } });
  createBus({ service: "x", transport });
  createBus({ service: "x", transport: "memory:", store });
}

export function containers(): void {
  const options = { service: "x", transport: "memory:" } as const;
  createBus({ ...options, resolve: (type) => tsyringe.resolve(type) });
  createBus({ ...options, resolve: (type) => inversify.get(type) });
  createBus({ ...options, resolve: (type) => inversify.getAsync(type) });
  createBus({ ...options, resolve: (type) => nest.create(type) });
  createBus({ ...options, resolve: (type) => new type() });
}

/** A test double of what a publisher depends on. */
export const silent: IEventBus = { publish: async () => {}, send: async () => {} };

/** What adapters and formats of one's own are written against. */
export type Ports = [Transport, Store, WireFormat, Schema];
