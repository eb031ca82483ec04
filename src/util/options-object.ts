/** Whether `value` can hold options by their names. Lists, and what else has its entries elsewhere (`Map`, `Headers`), cannot: each would be passed over without a word. */
export function isOptionsObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(Symbol.iterator in value);
}

/** What `value` holds by name: nothing when it is no {@link isOptionsObject options object}. */
export function optionsIn(value: unknown): Readonly<Record<string, unknown>> {
  return isOptionsObject(value) ? (value as Readonly<Record<string, unknown>>) : {};
}
