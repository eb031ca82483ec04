import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { utf8Bytes } from "../../../src/wire/utf8-bytes.js";
import { Random } from "../../support/random.js";

test("the bytes are those of Buffer.from, for every length and script, and later calls leave them alone", () => {
  const random = new Random(11);
  const characters = ["a", "é", "語", "🚎", "\ud800", "\udc00", "\u0000"];
  const texts = Array.from({ length: 3000 }, () =>
    Array.from({ length: random.integer(0, 40) }, () => random.pick(characters))
      .join("")
      .repeat(random.pick([1, 1, 10, 200])),
  );
  const bytes = texts.map(utf8Bytes);
  expect(bytes.map((each) => each.toString("hex"))).toEqual(texts.map((text) => Buffer.from(text).toString("hex")));
});

test("text that may not fit into what is left begins a new slab, at the boundary too", () => {
  for (const length of [0, 1, 5460, 5461, 5462, 16_383, 16_384, 16_385, 100_000]) {
    for (const character of ["x", "語"]) {
      const text = character.repeat(length);
      expect(utf8Bytes(text).equals(Buffer.from(text))).toBe(true);
    }
  }
});
