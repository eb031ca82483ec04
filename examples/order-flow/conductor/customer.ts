import { now } from "../hosting/report.js";
import { call } from "../http/call.js";
import type { Story } from "../print/story.js";
import type { OrderForm } from "../services/order-form.js";
import { until } from "./until.js";

export interface PlacedOrder {
  readonly orderId: string;
  readonly status: number;
  readonly location: string;
  readonly placedAt: number;
}

const PATIENTLY = { timeoutMs: 10_000, tries: 1, pauseMs: 0 };

/** Orders something, then looks at the `Location` until it is shipped. */
export class Customer {
  constructor(
    private readonly gatewayUrl: string,
    private readonly story: Story,
  ) {}

  async order(form: OrderForm): Promise<PlacedOrder> {
    const placedAt = now();
    const answer = await call("POST", `${this.gatewayUrl}/orders`, form, PATIENTLY);
    if (answer.status !== 202 || !answer.location) throw new Error(`POST /orders: ${answer.status} ${JSON.stringify(answer.body)}`);
    const { orderId } = answer.body as { orderId: string };
    return { orderId, status: answer.status, location: answer.location, placedAt };
  }

  /** Resolves with the milliseconds from the order to the moment when it was seen to be shipped. */
  async seesShipped({ orderId, location, placedAt }: PlacedOrder): Promise<number> {
    const tracking = await until(`order ${orderId} to be shipped`, async () => {
      const { body } = await call("GET", `${this.gatewayUrl}${location}`, undefined, PATIENTLY);
      const order = body as { status: string; tracking?: string };
      return order.status === "shipped" ? order.tracking : undefined;
    });
    const at = now();
    this.story.tell("customer", at, { subject: "GET /orders/:id", orderId, text: `200 shipped, ${tracking}` });
    return at - placedAt;
  }
}
