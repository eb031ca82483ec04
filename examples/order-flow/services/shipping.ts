import { type ConsumeContext, createBus, type IConsumer, type IEventBus } from "trolleybus";
import { OrderPlaced, OrderShipped } from "../contracts.js";
import { call } from "../http/call.js";
import { serve } from "../http/serve.js";
import { type Label, labels } from "./label.js";
import { operations } from "./operations.js";
import { type Reporter, type StartService, serviceOf, tellFailures } from "./service.js";

/** Books the parcel with the carrier. What it publishes inside a consumer leaves only when the consumer has succeeded. */
export class ShipmentService {
  constructor(
    private readonly carrierUrl: string,
    private readonly label: Label,
    private readonly bus: IEventBus,
  ) {}

  async ship({ orderId, customer, town }: OrderPlaced): Promise<string> {
    const parcel = { label: this.label(customer, town) };
    const answer = await call("PUT", `${this.carrierUrl}/parcels/${orderId}`, parcel, { timeoutMs: 2_000, tries: 1, pauseMs: 0 });
    if (answer.status !== 201) throw new Error(`the carrier answered ${answer.status}`);
    const { tracking } = answer.body as { tracking: string };
    await this.bus.publish(new OrderShipped(orderId, tracking));
    return tracking;
  }
}

export class ShippingConsumer implements IConsumer<OrderPlaced> {
  constructor(
    private readonly shipments: ShipmentService,
    private readonly tell: Reporter["tell"],
  ) {}

  async consume(order: OrderPlaced, { attempt }: ConsumeContext): Promise<void> {
    const tracking = await this.shipments.ship(order);
    const text = `${attempt === 1 ? "" : `attempt ${attempt}: `}parcel ${tracking} booked; publishing OrderShipped`;
    this.tell({ subject: "OrderPlaced", orderId: order.orderId, text, mood: "good" });
  }
}

export const startShipping: StartService = async (settings, reporter) => {
  const bus = createBus({ service: "shipping", ...settings.bus, publishes: [OrderShipped], logger: reporter.logger });
  const shipments = new ShipmentService(settings.urls.carrier, labels[settings.shippingVersion], bus);
  bus.use(tellFailures(reporter));
  bus.subscribe(OrderPlaced, new ShippingConsumer(shipments, reporter.tell));
  await bus.start();

  const server = await serve(operations(bus));
  return serviceOf(server, bus);
};
