import type { Duration } from "../contracts/duration.js";

const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

/** Milliseconds of a {@link Duration}, or `undefined` when it is none: not finite, negative, or text of another form. */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(value);
  const unit = UNITS.find(([name]) => name === match?.[2]);
  return match && unit ? Number(match[1]) * unit[1] : undefined;
}

/**
 * Whole milliseconds in the largest unit that divides them: `60000` is "1m", `90000` is "90s". Names of retry queues and
 * topics are made of it, so it never changes.
 */
export function formatDuration(ms: number): Duration {
  for (const [unit, size] of UNITS) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}` as Duration;
  }
  return `${ms}ms`;
}
