import { expect, test } from "vitest";
import { tameThrown } from "../../../src/pipeline/tame-thrown.js";

test("what was thrown stays what it is", () => {
  for (const thrown of [new Error("x"), "text", null, undefined, 5, Object.create(null), Object.freeze({})])
    expect(tameThrown(thrown)).toBe(thrown);
});

test("what cannot even be looked at is replaced by an error that says so", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(tameThrown(proxy)).toMatchObject({ message: "The consumer threw something that cannot be looked at." });
});
