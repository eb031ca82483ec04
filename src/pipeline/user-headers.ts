const NONE: Readonly<Record<string, string>> = Object.freeze({});

/** The headers without those of the bus itself (`tb-`). */
export function userHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(headers);
  if (names.length === 0) return NONE;
  if (!names.some((name) => name.startsWith("tb-"))) return headers;
  return Object.fromEntries(names.filter((name) => !name.startsWith("tb-")).map((name) => [name, headers[name] ?? ""]));
}
