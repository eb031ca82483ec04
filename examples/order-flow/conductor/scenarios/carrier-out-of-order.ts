import type { Scenario } from "../stage.js";

export const carrierOutOfOrder: Scenario = {
  title: "The carrier is out of order for a moment",
  gloss: "One retry at once, then one after a delay that the broker keeps: Shipping is free meanwhile.",
  async play({ customer, world, journal, checks }) {
    world.carrierFails(2);
    const order = await customer.order({ customer: "Ben", town: "Bruges", email: "ben@example.com", item: "a lamp", cents: 5400 });
    await customer.seesShipped(order);
    const { orderId } = order;
    await journal.heard({ service: "analytics", subject: "OrderShipped", orderId });

    const failures = journal.lines({ service: "shipping", orderId, mood: "bad" });
    const success = await journal.heard({ service: "shipping", orderId, mood: "good" });
    const pause = success.at - (failures.at(-1)?.at ?? success.at);
    checks.equal("Calls to the carrier until Ben's parcel was booked", world.carrierCallsFor(orderId), 3);
    checks.that("The delayed retry came after its delay and not before", pause >= 1_000 && pause < 5_000, `${pause.toFixed(0)} ms for 1s`);
    checks.equal("The failures of Shipping were nobody else's: e-mails sent", world.mailsAbout(orderId), 1);
  },
};
