import { FilterError } from "./filter-error.js";

/** Any string of zero or more characters; any single character; this character. */
type Part = "%" | "_" | { readonly character: string };

/**
 * The test of a LIKE pattern. Written out rather than made into a regular expression: a pattern comes from a client, and matching
 * takes no more than pattern length times text length here.
 * @param escapeWith one character, or "" for none.
 * @throws FilterError when `escapeWith` is longer.
 */
export function likePattern(pattern: string, escapeWith: string): (text: string) => boolean {
  if ([...escapeWith].length > 1) throw new FilterError(`The escape of LIKE is one character, not '${escapeWith}'.`);
  const parts = partsOf(pattern, escapeWith);
  return (text) => matches(parts, [...text]);
}

function partsOf(pattern: string, escapeWith: string): Part[] {
  const parts: Part[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (!escaped && escapeWith !== "" && character === escapeWith) {
      escaped = true;
      continue;
    }
    parts.push(!escaped && (character === "%" || character === "_") ? character : { character });
    escaped = false;
  }
  return parts;
}

/** Goes back only to the last "%": nothing before it can be matched better. */
function matches(parts: readonly Part[], text: readonly string[]): boolean {
  let part = 0;
  let at = 0;
  let retryPart = -1;
  let retryAt = 0;
  while (at < text.length) {
    const current = parts[part];
    if (current === "%") {
      retryPart = ++part;
      retryAt = at;
    } else if (current === "_" || (current !== undefined && current.character === text[at])) {
      part++;
      at++;
    } else if (retryPart >= 0) {
      part = retryPart;
      at = ++retryAt;
    } else return false;
  }
  while (parts[part] === "%") part++;
  return part === parts.length;
}
