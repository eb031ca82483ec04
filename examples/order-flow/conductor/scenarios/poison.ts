import { now } from "../../hosting/report.js";
import type { Line } from "../../services/service.js";
import { attemptsWith } from "../../settings.js";
import type { Scenario } from "../stage.js";
import { until } from "../until.js";

const TOWN = "Taumatawhakatangihangakoauauotamateapokaiwhenuakitanatahu";

export const poison: Scenario = {
  title: "An order is poison, until Shipping is mended",
  gloss: "It ends in the dead-letter queue, holds up nobody, and is replayed after the fix to Shipping alone.",
  async play({ settings, cast, customer, world, journal, story, checks }) {
    const operator = (line: Line): void => story.tell("operator", now(), line);

    const poisoned = await customer.order({ customer: "Chloe", town: TOWN, email: "chloe@example.com", item: "a tent", cents: 18900 });
    const neighbour = await customer.order({ customer: "Eve", town: "Evora", email: "eve@example.com", item: "a mug", cents: 1200 });
    const neighbourMs = await customer.seesShipped(neighbour);
    const { orderId } = poisoned;
    const messageId = `placed-${orderId}`;

    const letter = await until(`the dead letter of ${orderId}`, async () =>
      (await cast.endpointCounts("shipping"))["dead-lettered"] > 0 ? cast.deadLetter("shipping", messageId) : undefined,
    );
    const deadAfterMs = now() - poisoned.placedAt;
    operator({
      subject: "dead letters",
      orderId,
      text: `${letter.reason} after ${letter.attempts} attempts: ${letter.error}`,
      mood: "bad",
    });

    await cast.stop("shipping");
    operator({ subject: "deploy", orderId: "", text: `Shipping 1.0 has stopped` });
    const mended = await cast.start("shipping", { ...settings, shippingVersion: "1.1" });
    operator({ subject: "deploy", orderId: "", text: `Shipping 1.1 runs (process ${mended.processId}): it shortens long names of towns` });
    const replayed = await cast.replay("shipping", messageId);
    operator({ subject: "replay", orderId, text: `${replayed} dead letter goes back to the endpoint "shipping"` });
    await customer.seesShipped(poisoned);
    await journal.heard({ service: "analytics", subject: "OrderShipped", orderId });

    checks.equal("Attempts at the poison order before it was given up", letter.attempts, attemptsWith(settings.bus.retry));
    checks.that("Its dead letter says why", letter.error.startsWith("RangeError"), letter.error);
    checks.that(
      "Its neighbour was shipped meanwhile",
      neighbourMs < deadAfterMs,
      `${neighbourMs.toFixed(0)} ms, long before ${deadAfterMs.toFixed(0)} ms`,
    );
    checks.equal("Dead letters replayed after the fix, and shipped", replayed, 1);
    checks.equal("The replay went to Shipping alone: e-mails sent", world.mailsAbout(orderId), 1);
    checks.that("The dead letter is gone", (await cast.deadLetter("shipping", messageId)) === undefined, "not in the queue");
  },
};
