import { type Findings, problems } from "./checker.js";
import { readLedgers } from "./ledger.js";
import type { LedgerEvent } from "./ledger-event.js";

/** Lives are long: of each kind of problem so many are told. */
const LIVES_TOLD = 3;
/** And of a long one the beginning and the end, so many lines each. */
const LINES_OF_A_LIFE = 40;

/** The figures of a run, one line each. */
export function table(findings: Findings): string {
  const { counts, repeats } = findings;
  const rows: (readonly [string, number | string])[] = [
    ["faults", findings.faults],
    ["services killed by a message", findings.deaths],
    ["attempted", counts.attempted],
    ["acknowledged", counts.acknowledged],
    ["refused", counts.refused],
    ["unknown", counts.unknown],
    ["published by handlers", counts.byHandlers],
    ["handled", counts.handled],
    ["recovered (not acknowledged, but handled)", counts.recovered],
    ["dead-lettered", counts.deadLettered],
    ["runs of handlers", counts.runs],
    ["LOST", findings.lost.length],
    ["UNEXPECTED", findings.unexpected.length],
    ["CORRUPT", findings.corrupt.length],
    ["repeats, explained by a fault", repeats.all.filter((repeat) => typeof repeat.because === "object").length],
    ["repeats, a copy at another instance", repeats.all.filter((repeat) => repeat.because === "copy").length],
    ["repeats allowed by P2", repeats.bound],
    ["REPEATS beyond that", repeats.unexplained.length],
    ["HANDLED TWICE BY ONE INSTANCE", findings.handledTwice.length],
    ["OUT OF ORDER", findings.outOfOrder.length],
    ["MISJUDGED (innocent, but dead-lettered)", findings.misjudged.length],
    ["FALSE REFUSALS", findings.falseRefusals.length],
    ["QUEUES NOT EMPTY", findings.stuckQueues.length],
    ["TROUBLES (crashes, unhandled rejections)", findings.troubles.length],
    ["LEAKS", findings.leaks.length],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${String(value).padStart(10)}`);
  for (const { process, earlyMegabytes, lateMegabytes } of findings.memory) {
    lines.push(
      `  ${`memory of ${process}`.padEnd(width)}  ${`${earlyMegabytes.toFixed(0)} -> ${lateMegabytes.toFixed(0)} MB`.padStart(10)}`,
    );
  }
  return lines.join("\n");
}

/** What is wrong and, for some messages of each kind, all that the ledgers know of their lives. */
export async function stories(findings: Findings, folder: string): Promise<string> {
  const lines: string[] = [];
  const told = new Set<string>();
  const tell = (what: string, found: readonly { readonly ids: readonly string[]; readonly text: string }[]): void => {
    if (found.length === 0) return;
    lines.push(`${what}: ${found.length}`);
    for (const { ids, text } of found.slice(0, LIVES_TOLD)) {
      lines.push(`  ${ids.join(", ")}: ${text}`);
      for (const id of ids) told.add(id);
    }
  };
  const one = (list: readonly { readonly id: string; readonly endpoint: string; readonly text: string }[]) =>
    list.map(({ id, endpoint, text }) => ({ ids: [id], text: `at ${endpoint}: ${text}` }));
  tell("lost", one(findings.lost));
  tell("unexpected", one(findings.unexpected));
  tell("corrupt", one(findings.corrupt));
  const unexplained = "ran again, and no fault explains it";
  tell("repeats", one(findings.repeats.unexplained.map(({ id, endpoint }) => ({ id, endpoint, text: unexplained }))));
  tell("handled twice", one(findings.handledTwice));
  tell(
    "out of order",
    findings.outOfOrder.map(({ earlier, later, endpoint, key, text }) => ({
      ids: [earlier, later],
      text: `at ${endpoint}, key ${key}: ${text}`,
    })),
  );
  tell("misjudged", one(findings.misjudged));
  tell("false refusals", one(findings.falseRefusals));
  for (const { queue, messages } of findings.stuckQueues) lines.push(`stuck: ${messages} messages left in ${queue}`);
  for (const { process, text } of findings.troubles.slice(0, 20)) lines.push(`trouble in ${process}: ${text}`);
  for (const { process, earlyMegabytes, lateMegabytes } of findings.leaks) {
    lines.push(`leak: ${process} grew from ${earlyMegabytes.toFixed(0)} to ${lateMegabytes.toFixed(0)} MB`);
  }
  lines.push(...(await lives(told, folder)));
  return lines.join("\n");
}

async function lives(ids: ReadonlySet<string>, folder: string): Promise<string[]> {
  if (ids.size === 0) return [];
  const events = new Map<string, LedgerEvent[]>([...ids].map((id) => [id, []]));
  const context: LedgerEvent[] = [];
  for await (const event of readLedgers(folder)) {
    if ("id" in event) events.get(event.id)?.push(event);
    else if (event.event === "fault" || event.event === "process" || event.event === "trouble") context.push(event);
  }
  const lines: string[] = [];
  for (const [id, own] of events) {
    const from = Math.min(...own.map((event) => event.at)) - 1_000;
    const to = Math.max(...own.map((event) => event.at)) + 5_000;
    const around = context.filter((event) =>
      "until" in event ? event.until >= from && event.from <= to : event.at >= from && event.at <= to,
    );
    lines.push(`the life of ${id}:`);
    const told = [...own, ...around].sort((a, b) => momentOf(a) - momentOf(b)).map((event) => `  ${describe(event, from)}`);
    const left = told.length - 2 * LINES_OF_A_LIFE;
    if (left > 0) told.splice(LINES_OF_A_LIFE, left, `  ... ${left} lines more ...`);
    lines.push(...told);
  }
  return lines;
}

/** A fault is written when it is over, and told when it began. */
function momentOf(event: LedgerEvent): number {
  return event.event === "fault" ? event.from : event.at;
}

function describe(event: LedgerEvent, from: number): string {
  const { at: _at, process, pid, sequence: _sequence, event: name, ...rest } = event;
  const details = Object.entries(rest)
    .filter(([field]) => field !== "id")
    .map(([field, value]) => `${field}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`);
  return `+${((momentOf(event) - from) / 1_000).toFixed(3).padStart(9)} s  ${process} (${pid})  ${name}  ${details.join(" ")}`;
}

/** The last line of a run. */
export function verdict(findings: Findings, headline: string): string {
  const wrong = problems(findings);
  const { counts, repeats } = findings;
  const figures = `${findings.faults} faults, ${counts.attempted} attempted, ${counts.acknowledged} acknowledged, lost ${findings.lost.length}, unexpected ${findings.unexpected.length}, corrupt ${findings.corrupt.length}, repeats ${repeats.all.length} (P2 allows ${repeats.bound})`;
  if (wrong.length === 0) return `PASS ${headline}: ${figures}`;
  return `FAIL ${headline}: ${wrong.map(({ what, count }) => `${what} ${count}`).join(", ")} (${figures})`;
}
