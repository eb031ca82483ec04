import { randomBytes } from "node:crypto";
import { call } from "../http/call.js";
import { serve } from "../http/serve.js";
import { orderForm } from "./order-form.js";
import type { StartService } from "./service.js";

/**
 * The synchronous edge. It knows no bus: it calls Orders over HTTP, with a time-out and further tries, and answers
 * `202 Accepted` with a `Location` where the customer can see how far his order is.
 */
export const startGateway: StartService = async (settings, { tell }) => {
  const server = await serve({
    "POST /orders": async ({ body }) => {
      const form = orderForm.parse(body);
      // The id is given here, so that a second try asks for the same order and not for another one.
      const orderId = `${form.customer.toLowerCase()}-${randomBytes(3).toString("hex")}`;
      tell({ subject: "POST /orders", orderId, text: `${form.customer} orders ${form.item} for ${(form.cents / 100).toFixed(2)} EUR` });

      const onRetry = (reason: string, nextTry: number): void =>
        tell({ subject: "PUT /orders/:id", orderId, text: `${reason}; try ${nextTry} of ${settings.callOrders.tries}`, mood: "bad" });
      const answer = await call("PUT", `${settings.urls.orders}/orders/${orderId}`, form, { ...settings.callOrders, onRetry });
      if (answer.status >= 400) return answer;

      const location = `/orders/${orderId}`;
      tell({ subject: "202 Accepted", orderId, text: `Location: ${location}` });
      return { status: 202, headers: { location }, body: { orderId } };
    },
    "GET /orders/:id": ({ id }) => call("GET", `${settings.urls.orders}/orders/${id}`, undefined, settings.callOrders),
  });
  return { url: server.url, stop: server.close };
};
