import { now } from "../../hosting/report.js";
import type { Scenario } from "../stage.js";
import { until } from "../until.js";

export const deliveredTwice: Scenario = {
  title: "An answer is late, and a message is delivered twice",
  gloss: "The gateway tries again, Orders publishes again with the same message id, and every consumer runs once.",
  async play({ cast, customer, world, journal, story, checks }) {
    const before = await cast.endpointCounts("email");
    const order = await customer.order({ customer: "Dan", town: "Dublin", email: "dan@example.com", item: "a map", cents: 800 });
    const { orderId } = order;
    const duplicates = await until("Email to recognise the second copy", async () => {
      const seen = (await cast.endpointCounts("email")).duplicates - before.duplicates;
      return seen > 0 ? seen : undefined;
    });
    story.tell("email", now(), {
      subject: "OrderPlaced",
      orderId,
      text: "the second copy is recognised by its id: nothing is done",
      mood: "good",
    });
    await customer.seesShipped(order);
    await journal.heard({ service: "analytics", subject: "OrderShipped", orderId });

    checks.equal(
      "Times Orders was asked for Dan's order",
      journal.lines({ service: "orders", subject: "PUT /orders/:id", orderId }).length,
      2,
    );
    checks.equal("Second copies of its OrderPlaced that reached Email", duplicates, 1);
    checks.equal("E-mails sent to Dan", world.mailsAbout(orderId), 1);
  },
};
