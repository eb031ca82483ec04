import { setTimeout as sleep } from "node:timers/promises";
import { createBus, type IConsumer, type IEventBus } from "trolleybus";
import { OrderPlaced, OrderShipped } from "../contracts.js";
import { serve } from "../http/serve.js";
import { operations } from "./operations.js";
import { type OrderForm, orderForm } from "./order-form.js";
import { type Reporter, type StartService, serviceOf, tellFailures } from "./service.js";

interface Order extends OrderForm {
  readonly status: "placed" | "shipped";
  readonly tracking: string | undefined;
}

/** Stands for the table of orders. */
type Orders = Map<string, Order>;

/** The use case. Of the bus it knows only that something can be published. */
export class PlaceOrder {
  constructor(
    private readonly orders: Orders,
    private readonly bus: IEventBus,
    private readonly tell: Reporter["tell"],
  ) {}

  async handle(orderId: string, form: OrderForm): Promise<"placed" | "known"> {
    const known = this.orders.has(orderId);
    if (!known) this.orders.set(orderId, { ...form, status: "placed", tracking: undefined });
    const text = known ? "known already; publishing OrderPlaced again, with the same id" : "saved; publishing OrderPlaced";
    this.tell({ subject: "PUT /orders/:id", orderId, text });
    // Nobody knows whether the first try came as far as the broker. With the same message id a second copy does no harm.
    await this.bus.publish(new OrderPlaced({ orderId, ...form }), { messageId: `placed-${orderId}` });
    return known ? "known" : "placed";
  }
}

/** What happened elsewhere comes back as an event. */
export class OrderShippedConsumer implements IConsumer<OrderShipped> {
  constructor(
    private readonly orders: Orders,
    private readonly tell: Reporter["tell"],
  ) {}

  consume({ orderId, tracking }: OrderShipped): void {
    const order = this.orders.get(orderId);
    // The table is in memory: what an interrupted run left in the broker belongs to no order of this one.
    if (!order) return;
    this.orders.set(orderId, { ...order, status: "shipped", tracking });
    this.tell({ subject: "OrderShipped", orderId, text: `the status is now "shipped"`, mood: "good" });
  }
}

export const startOrders: StartService = async ({ lateAnswer, ...settings }, reporter) => {
  const orders: Orders = new Map();
  const bus = createBus({ service: "orders", ...settings.bus, publishes: [OrderPlaced], logger: reporter.logger });
  bus.use(tellFailures(reporter));
  bus.subscribe(OrderShipped, new OrderShippedConsumer(orders, reporter.tell));
  await bus.start();

  const placeOrder = new PlaceOrder(orders, bus, reporter.tell);
  const server = await serve({
    "PUT /orders/:id": async ({ id, body }) => {
      const form = orderForm.parse(body);
      const outcome = await placeOrder.handle(id, form);
      if (outcome === "placed" && form.customer === lateAnswer.customer) await sleep(lateAnswer.ms);
      return { status: outcome === "placed" ? 201 : 200, body: { orderId: id } };
    },
    "GET /orders/:id": ({ id }) => {
      const order = orders.get(id);
      return order ? { status: 200, body: order } : { status: 404, body: { error: "no such order" } };
    },
    ...operations(bus),
  });
  return serviceOf(server, bus);
};
