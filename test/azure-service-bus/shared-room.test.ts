import { expect, test } from "vitest";
import { SharedRoom } from "../../transports/azure-service-bus/shared-room.js";

test("sessions that end together pass their room to none of them: it would begin a message that is lost already", async () => {
  const room = new SharedRoom(1);
  const admitted: string[] = [];
  const seekers = ["a", "b", "c"].map((name) => ({ admitted: () => void admitted.push(name) }));
  for (const seeker of seekers) room.take(seeker);
  expect(admitted).toEqual(["a"]);
  const [first] = seekers;
  if (!first) throw new Error("no seeker");
  room.give(first);
  for (const seeker of seekers) room.leave(seeker);
  await Promise.resolve();
  expect(admitted).toEqual(["a"]);

  const later = { admitted: () => void admitted.push("later") };
  room.take(later);
  expect(admitted).toEqual(["a", "later"]);
});
