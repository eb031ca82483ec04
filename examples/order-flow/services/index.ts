import { startAnalytics } from "./analytics.js";
import { startEmail } from "./email.js";
import { startGateway } from "./gateway.js";
import { startOrders } from "./orders.js";
import type { StartService } from "./service.js";
import { startShipping } from "./shipping.js";

export type ServiceName = "gateway" | "orders" | "shipping" | "email" | "analytics";

/** Every service by its name: to be started in this process, or in one of its own. */
export const services: Readonly<Record<ServiceName, StartService>> = {
  gateway: startGateway,
  orders: startOrders,
  shipping: startShipping,
  email: startEmail,
  analytics: startAnalytics,
};
