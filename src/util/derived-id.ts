import { hash } from "node:crypto";
import { ALPHABET, PAIRS } from "./crockford-base32.js";

/**
 * 26 characters in the form of a ULID, always the same for the same `parts` and, as far as SHA-1 goes, different for any
 * other list: each part is preceded by its length, so that `["ab", "c"]` and `["a", "bc"]` differ. The parts are well-formed
 * Unicode. The time that such an id seems to hold means nothing.
 *
 * Nobody's security rests on it: who can choose the parts can send the same message anyway.
 */
export function deriveId(parts: readonly string[]): string {
  let text = "";
  for (const part of parts) text += `${part.length}:${part}`;
  const digest = hash("sha1", text, "binary");
  // 128 bits in 26 characters of 5 leave 2 spare: the first character is 0 to 7, as a ULID's must be.
  let id = ALPHABET.charAt(digest.charCodeAt(0) >> 5);
  let bits = digest.charCodeAt(0) & 31;
  let held = 5;
  for (let i = 1; i < 16; i++) {
    bits = (bits << 8) | digest.charCodeAt(i);
    held += 8;
    if (held >= 10) {
      held -= 10;
      id += PAIRS[bits >> held] ?? "";
      bits &= (1 << held) - 1;
    }
  }
  return id + ALPHABET.charAt(bits);
}
