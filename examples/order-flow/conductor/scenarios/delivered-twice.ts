import { now } from "../../hosting/report.js";
import type { Scenario, Stage } from "../stage.js";
import { until } from "../until.js";

const SUBSCRIBERS = ["shipping", "email", "analytics"] as const;

export const deliveredTwice: Scenario = {
  title: "An answer is late, and a message is delivered twice",
  gloss: "The gateway tries again, Orders publishes again with the same message id, and every consumer runs once.",
  async play(stage) {
    const { customer, world, journal, checks } = stage;
    const before = await duplicatesOf(stage);
    const order = await customer.order({ customer: "Dan", town: "Dublin", email: "dan@example.com", item: "a map", cents: 800 });
    const { orderId } = order;
    const duplicates = await Promise.all(SUBSCRIBERS.map((name, index) => secondCopy(stage, name, before[index] ?? 0, orderId)));
    await customer.seesShipped(order);
    await journal.heard({ service: "analytics", subject: "OrderShipped", orderId });

    checks.equal(
      "Times the gateway asked Orders for Dan's order",
      journal.lines({ service: "orders", subject: "PUT /orders/:id", orderId }).length,
      2,
    );
    checks.equal("Second copies that came to Shipping, Email and Analytics", duplicates.join(", "), "1, 1, 1");
    checks.equal("E-mails sent to Dan", world.mailsAbout(orderId), 1);
    checks.equal("Calls to the carrier for Dan's parcel", world.carrierCallsFor(orderId), 1);
  },
};

const duplicatesOf = ({ cast }: Stage): Promise<number[]> =>
  Promise.all(SUBSCRIBERS.map(async (name) => (await cast.endpointCounts(name)).duplicates));

/** Waits until the service's own count says that it met a message which it had handled before. */
async function secondCopy({ cast, story }: Stage, name: (typeof SUBSCRIBERS)[number], before: number, orderId: string): Promise<number> {
  const copies = await until(`${name} to recognise the second copy`, async () => {
    const seen = (await cast.endpointCounts(name)).duplicates - before;
    return seen > 0 ? seen : undefined;
  });
  story.tell(name, now(), { subject: "OrderPlaced", orderId, text: "known by its message id: done before, not done again", mood: "good" });
  return copies;
}
