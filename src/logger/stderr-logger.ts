import type { Logger } from "../contracts/logger.js";

/**
 * The logger of a bus that is given none: warnings and errors to `process.stderr`, one line each, what is below is dropped.
 *
 * `2026-01-31T12:00:00.000Z WARN  the text {"endpoint":"shipping","error":"Error: refused"}`
 */
export const stderrLogger: Logger = {
  debug() {},
  info() {},
  warn(text, fields) {
    write("WARN ", text, fields);
  },
  error(text, fields) {
    write("ERROR", text, fields);
  },
};

function write(level: string, text: string, fields: object | undefined): void {
  const details = fields === undefined ? "" : detailsOf(fields);
  process.stderr.write(`${new Date().toISOString()} ${level} ${oneLine(text)}${details}\n`, whenWritten);
}

/** A closed stderr emits "error", which ends the process when nobody listens: no reason for a service to die. */
function whenWritten(error: Error | null | undefined): void {
  if (error && process.stderr.listenerCount("error") === 0) process.stderr.once("error", () => {});
}

/** Field by field, so that one that cannot be written does not take the others with it. */
function detailsOf(fields: object): string {
  const parts: string[] = [];
  for (const key of Object.keys(fields)) {
    const json = jsonOf(fields, key);
    if (json !== undefined) parts.push(`${JSON.stringify(key)}:${json}`);
  }
  return parts.length === 0 ? "" : ` ${oneLine(`{${parts.join()}}`)}`;
}

function jsonOf(fields: object, key: string): string | undefined {
  try {
    return JSON.stringify((fields as Readonly<Record<string, unknown>>)[key], replaceUnprintable);
  } catch (error) {
    return JSON.stringify(`(not JSON: ${error instanceof Error ? error.name : typeof error})`);
  }
}

function replaceUnprintable(_key: string, value: unknown): unknown {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  return value;
}

const CONTROL = /\p{Cc}|\u2028|\u2029/gu;

/** What came over the wire must not be able to forge a line, nor to move the cursor of a terminal. */
function oneLine(text: string): string {
  return text.replace(CONTROL, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\r") return "\\r";
    if (character === "\t") return "\\t";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
