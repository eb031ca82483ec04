import { expect, test } from "vitest";
import { cutToBytes } from "../../../src/util/cut-to-bytes.js";

test.each([
  ["abc", 3, "abc"],
  ["abc", 2, "ab"],
  ["abc", 0, ""],
  ["", 5, ""],
  ["aé", 2, "a"],
  ["aé", 3, "aé"],
  ["€€", 5, "€"],
  ["a😀b", 4, "a"],
  ["a😀b", 5, "a😀"],
  ["😀", 3, ""],
])("of %j at most %i bytes are %j", (text, bytes, cut) => expect(cutToBytes(text, bytes)).toBe(cut));

test("it is the longest such beginning, for every length", () => {
  const text = "aé€😀".repeat(20);
  for (let bytes = 0; bytes <= Buffer.byteLength(text); bytes++) {
    const cut = cutToBytes(text, bytes);
    expect(text.startsWith(cut)).toBe(true);
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(bytes);
    expect(Buffer.byteLength(cut)).toBeGreaterThan(bytes - 4);
  }
});
