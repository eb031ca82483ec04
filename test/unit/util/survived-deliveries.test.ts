import { expect, test } from "vitest";
import { SurvivedDeliveries } from "../../../src/util/survived-deliveries.js";

interface Message {
  readonly id: string;
  /** Deliveries before this one, as the broker counts. */
  readonly before: number;
}

const made = (): SurvivedDeliveries<Message> =>
  new SurvivedDeliveries(
    ({ id }) => id,
    ({ before }) => before,
  );

test("what this process knows nothing of, it believes the broker's count", () => {
  const deliveries = made();
  expect(deliveries.unexplained({ id: "a", before: 0 })).toBe(0);
  expect(deliveries.unexplained({ id: "a", before: 3 })).toBe(3);
});

test("each time that this process held the message and lived is taken off, for that message alone", () => {
  const deliveries = made();
  deliveries.survived({ id: "a", before: 0 });
  deliveries.survived({ id: "a", before: 1 });
  expect(deliveries.unexplained({ id: "a", before: 3 })).toBe(1);
  expect(deliveries.unexplained({ id: "b", before: 3 })).toBe(3);
});

test("there are never fewer than none, whatever a broker counts", () => {
  const deliveries = made();
  deliveries.survived({ id: "a", before: 0 });
  deliveries.survived({ id: "a", before: 0 });
  expect(deliveries.unexplained({ id: "a", before: 1 })).toBe(0);
});

test("a message that was run alone and killed nobody is suspected for what comes after that alone", () => {
  const deliveries = made();
  deliveries.cleared({ id: "a", before: 7 });
  expect(deliveries.unexplained({ id: "a", before: 7 })).toBe(0);
  expect(deliveries.unexplained({ id: "a", before: 9 })).toBe(2);
});

test("a message that is settled is forgotten", () => {
  const deliveries = made();
  deliveries.survived({ id: "a", before: 0 });
  deliveries.survived({ id: "b", before: 0 });
  deliveries.forget({ id: "a", before: 1 });
  expect(deliveries.unexplained({ id: "a", before: 1 })).toBe(1);
  expect(deliveries.unexplained({ id: "b", before: 1 })).toBe(0);
});

test("10,000 messages are remembered: the one that was noted longest ago is forgotten for the next", () => {
  const deliveries = made();
  for (let i = 0; i < 10_000; i++) deliveries.survived({ id: String(i), before: 0 });
  deliveries.survived({ id: "0", before: 1 });
  deliveries.survived({ id: "one more", before: 0 });
  expect(deliveries.unexplained({ id: "0", before: 2 })).toBe(0);
  expect(deliveries.unexplained({ id: "1", before: 1 })).toBe(1);
  expect(deliveries.unexplained({ id: "2", before: 1 })).toBe(0);
});
