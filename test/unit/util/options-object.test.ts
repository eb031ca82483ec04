import { expect, test } from "vitest";
import { isOptionsObject } from "../../../src/util/options-object.js";

test("objects hold options, those of a class and those without a prototype too", () => {
  class Settings {
    maxIds = 5;
  }
  for (const value of [{}, { maxIds: 5 }, new Settings(), Object.create(null)]) expect(isOptionsObject(value)).toBe(true);
});

test("nothing else does: neither what is no object nor what has its entries elsewhere", () => {
  const others = [
    undefined,
    null,
    5,
    "x",
    true,
    () => {},
    [],
    ["maxIds"],
    new Map([["maxIds", 5]]),
    new Set(),
    new Headers({ tenant: "a" }),
  ];
  for (const value of others) expect(isOptionsObject(value)).toBe(false);
});
