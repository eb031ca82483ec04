import type { Counts } from "../conductor/cast.js";
import type { Check, Checks } from "../conductor/checks.js";
import type { ServiceName } from "../services/index.js";
import type { Paint } from "./paint.js";

export interface Outcome {
  readonly counts: ReadonlyMap<ServiceName, Counts>;
  readonly checks: Checks;
  /** What the services logged: told when something is not as expected. */
  readonly log: readonly string[];
  readonly seconds: string;
}

const FLOW: readonly ServiceName[] = ["orders", "shipping", "email", "analytics"];
const COLUMNS = ["handled", "retried later", "dead-lettered", "duplicates"] as const;

/** What was counted, what was expected and seen, and the verdict. */
export function closing({ counts, checks, log, seconds }: Outcome, paint: Paint): string {
  const { all, failed } = checks;
  const section = (title: string, text: string): string => `\n ${paint(title, "bold")}\n\n${text}`;
  const verdict = ` ${all.length - failed.length} of ${all.length} as expected, in ${seconds} s`;
  return [
    ...(counts.size > 0 ? [section("What was counted", countsTable(counts, paint))] : []),
    section("What was expected, and seen", checksTable(all, paint)),
    ...(failed.length > 0 && log.length > 0 ? [section("What the services logged", log.map((line) => `    ${line}`).join("\n"))] : []),
    `\n${paint(verdict, "bold", failed.length === 0 ? "green" : "red")}\n`,
  ].join("\n");
}

/** What each service counted, as its `health()` said it. */
function countsTable(counts: Outcome["counts"], paint: Paint): string {
  const rows = FLOW.flatMap((name) => {
    const count = counts.get(name);
    return count ? `    ${name.padEnd(11)}${COLUMNS.map((column) => String(count[column]).padStart(column.length + 3)).join("")}` : [];
  });
  const head = `    ${"service".padEnd(11)}${COLUMNS.map((column) => `   ${column}`).join("")}`;
  return [paint(head, "dim"), ...rows].join("\n");
}

function checksTable(checks: readonly Check[], paint: Paint): string {
  const width = Math.max(...checks.map(({ text }) => text.length));
  return checks
    .map(({ text, ok, seen }) => {
      const line = `  ${ok ? "✔" : "✘"} ${text.padEnd(width)}  `;
      return ok ? `${paint(line, "green")}${seen}` : paint(`${line}${seen}`, "red", "bold");
    })
    .join("\n");
}
