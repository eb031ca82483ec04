import { InvalidMessageError } from "../errors.js";
import { UndecodableError } from "./undecodable-error.js";

/**
 * Deepest nesting of arrays and objects. V8 parses 200,000 levels, but everything that walks the result by recursion
 * afterwards (JSON.stringify, structuredClone, a schema) overflows the stack.
 */
export const MAX_JSON_DEPTH = 1000;

/** What is written is put into an envelope, and must not be too deep to be read then. */
const MAX_WRITTEN_DEPTH = MAX_JSON_DEPTH - 10;

/**
 * Reads JSON of unknown origin. Refused are: what is not JSON, nesting deeper than {@link MAX_JSON_DEPTH}, and any key
 * `__proto__` or `constructor` at any depth, however it is escaped: such a key changes the prototype of whatever it is copied onto
 * by a careless merge.
 * @throws UndecodableError saying which of them it was.
 */
export function parseJson(text: string): unknown {
  if (isDeeperThan(MAX_JSON_DEPTH, text)) {
    throw new UndecodableError(`The JSON is nested deeper than ${MAX_JSON_DEPTH} levels.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UndecodableError("The body is not JSON.", error);
  }
  if (mayHoldForbiddenKey(text)) {
    const key = findForbiddenKey(value);
    if (key !== undefined)
      throw new UndecodableError(`The JSON holds the key "${key}", which is refused because it can change prototypes.`);
  }
  return value;
}

/**
 * `data` as JSON text, with the same rules as {@link parseJson}, so that nothing is sent that a receiver must refuse.
 * @throws InvalidMessageError naming the place of a BigInt or a cycle, a forbidden key, too deep a nesting, or that nothing is left to send.
 */
export function encodeJson(data: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (error) {
    throw notEncodable(data, error);
  }
  if (text === undefined) {
    const kind =
      data === undefined ? "undefined" : typeof data === "object" ? "an object whose toJSON() gives nothing" : `a ${typeof data}`;
    throw invalid(`The message cannot be encoded: JSON.stringify gives nothing for ${kind}.`);
  }
  if (isDeeperThan(MAX_WRITTEN_DEPTH, text)) {
    throw invalid(`The message is nested deeper than ${MAX_WRITTEN_DEPTH} levels, which no receiver reads.`);
  }
  if (text.includes('__proto__":') || text.includes('constructor":')) {
    const key = findForbiddenKey(JSON.parse(text));
    if (key !== undefined)
      throw invalid(`The message has the key "${key}", which every receiver refuses because it can change prototypes.`);
  }
  return text;
}

/** No false negative. A letter or underscore can only be hidden in a key as `\u005f`, `\u0063` and the like. */
function mayHoldForbiddenKey(text: string): boolean {
  return text.includes("__proto__") || text.includes("constructor") || text.includes("\\u00");
}

function findForbiddenKey(root: unknown): string | undefined {
  const waiting: unknown[] = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== "object" || value === null) continue;
    if (Object.hasOwn(value, "__proto__")) return "__proto__";
    if (Object.hasOwn(value, "constructor")) return "constructor";
    for (const child of Object.values(value)) if (typeof child === "object" && child !== null) waiting.push(child);
  }
  return undefined;
}

/**
 * Each level takes an opening and a closing bracket, so that short text is never too deep. In longer text the opening ones are counted
 * first, wherever they stand, which is quick and enough for nearly all; only where they are many is the text walked through.
 */
function isDeeperThan(levels: number, text: string): boolean {
  if (text.length <= 2 * levels) return false;
  let brackets = 0;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++brackets > levels) return depthExceeds(levels, text);
    }
  }
  return false;
}

function depthExceeds(levels: number, text: string): boolean {
  const QUOTE = 34;
  const BACKSLASH = 92;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) inString = !inString;
    else if (inString) i += code === BACKSLASH ? 1 : 0;
    else if (code === 123 || code === 91) {
      if (++depth > levels) return true;
    } else if (code === 125 || code === 93) depth--;
  }
  return false;
}

function notEncodable(data: unknown, error: unknown): InvalidMessageError {
  const bigint = pathOfBigInt(data);
  if (bigint !== undefined) {
    return invalid(`The message cannot be encoded: ${bigint} is a BigInt, which JSON cannot carry; make it text.`, error);
  }
  if (error instanceof RangeError) return invalid("The message cannot be encoded: it is too large or nested too deep for JSON.", error);
  return invalid(`The message cannot be encoded as JSON: ${error instanceof Error ? error.message : String(error)}`, error);
}

/** Where the first BigInt is, for the error's text; cycles are met here too, so that what was seen is remembered. */
function pathOfBigInt(root: unknown): string | undefined {
  const seen = new Set<object>();
  const waiting: (readonly [value: unknown, path: string])[] = [[root, ""]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [value, path] = next;
    if (typeof value === "bigint") return path === "" ? "it" : `"${path}"`;
    if (typeof value !== "object" || value === null || seen.has(value) || path.length > 500) continue;
    seen.add(value);
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      if (!descriptor.enumerable) continue;
      // Getters are not called here: the one that threw would throw again.
      waiting.push([descriptor.value, Array.isArray(value) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`]);
    }
  }
  return undefined;
}

function invalid(text: string, cause?: unknown): InvalidMessageError {
  return new InvalidMessageError(text, { cause, issues: [] });
}
