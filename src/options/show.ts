/** A value as a person would read it in a text. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (value === null || typeof value === "number" || typeof value === "boolean" || value === undefined) return String(value);
  return Array.isArray(value) ? "a list" : typeof value === "function" ? "a function" : `of type ${typeof value}`;
}
