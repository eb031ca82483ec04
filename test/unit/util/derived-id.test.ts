import { createHash } from "node:crypto";
import { isValid } from "ulid";
import { expect, test } from "vitest";
import { deriveId } from "../../../src/util/derived-id.js";
import { Random } from "../../support/random.js";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The same by way of one big number. */
function slowly(parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join("");
  let number = BigInt(`0x${createHash("sha1").update(text).digest("hex").slice(0, 32)}`);
  let id = "";
  for (let i = 0; i < 26; i++) {
    id = ALPHABET.charAt(Number(number & 31n)) + id;
    number >>= 5n;
  }
  return id;
}

test("the id of some parts is the same for ever", () => {
  // An upgrade that changed it would send what a rerun sends under another id.
  expect(deriveId(["shipping", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "shop.shipped", "{}", "0"])).toBe("7WD7CGCMDZ7KSBM6Q56K70BZF4");
});

test("the id is the first 128 bits of the SHA-1, as a ULID", () => {
  const random = new Random(7);
  for (let i = 0; i < 2000; i++) {
    const parts = Array.from({ length: random.integer(0, 5) }, () =>
      String.fromCodePoint(random.integer(1, 0xd7ff)).repeat(random.integer(0, 4)),
    );
    const id = deriveId(parts);
    expect(id).toBe(slowly(parts));
    expect(isValid(id)).toBe(true);
  }
});

test("lists that read the same when joined have different ids", () => {
  const lists = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], ["2:ab", "c"], ["a2:bc"], []];
  expect(new Set(lists.map(deriveId)).size).toBe(lists.length);
});
