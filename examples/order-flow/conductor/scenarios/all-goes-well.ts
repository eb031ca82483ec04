import type { Scenario } from "../stage.js";

export const allGoesWell: Scenario = {
  title: "An order goes through",
  gloss: "Synchronous up to the 202; from there on each service reacts in its own time.",
  async play({ customer, world, journal, checks }) {
    const order = await customer.order({ customer: "Ada", town: "Leeds", email: "ada@example.com", item: "a kettle", cents: 3900 });
    const ms = await customer.seesShipped(order);
    const { orderId } = order;
    await Promise.all([
      journal.heard({ service: "email", orderId }),
      journal.heard({ service: "analytics", subject: "OrderPlaced", orderId }),
      journal.heard({ service: "analytics", subject: "OrderShipped", orderId }),
    ]);

    checks.that(
      "An order is answered with 202 and a Location",
      order.location === `/orders/${orderId}`,
      `${order.status} ${order.location}`,
    );
    checks.that(
      "Shipping, Email and Analytics react, and Orders hears of it",
      world.mailsAbout(orderId) === 1,
      `shipped after ${ms.toFixed(0)} ms`,
    );
  },
};
