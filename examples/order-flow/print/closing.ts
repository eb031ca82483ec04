import type { Counts } from "../conductor/cast.js";
import type { Check } from "../conductor/checks.js";
import type { ServiceName } from "../services/index.js";
import type { Paint } from "./paint.js";

const FLOW: readonly ServiceName[] = ["orders", "shipping", "email", "analytics"];

/** What each service counted, as its `health()` said it. */
export function countsTable(counts: ReadonlyMap<ServiceName, Counts>, paint: Paint): string {
  const columns = ["handled", "retried later", "dead-lettered", "duplicates"] as const;
  const rows = FLOW.flatMap((name) => {
    const count = counts.get(name);
    return count ? `    ${name.padEnd(11)}${columns.map((column) => String(count[column]).padStart(column.length + 3)).join("")}` : [];
  });
  const head = `    ${"service".padEnd(11)}${columns.map((column) => `   ${column}`).join("")}`;
  return [paint(head, "dim"), ...rows].join("\n");
}

/** What was expected, each with what was seen, and the verdict. */
export function checksTable(checks: readonly Check[], paint: Paint): string {
  const width = Math.max(...checks.map(({ text }) => text.length));
  return checks
    .map(({ text, ok, seen }) => {
      const line = `  ${ok ? "✔" : "✘"} ${text.padEnd(width)}  `;
      return ok ? `${paint(line, "green")}${seen}` : paint(`${line}${seen}`, "red", "bold");
    })
    .join("\n");
}
