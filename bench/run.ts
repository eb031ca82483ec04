import { fork } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { removeAllOfServiceBus } from "./cases/azure-service-bus-raw.js";
import { removeAllOfKafka } from "./cases/kafka-raw.js";
import { removeAll } from "./cases/rabbitmq-raw.js";
import { COMPARISONS, type Comparison, type Goal } from "./comparisons.js";
import { type Figures, median } from "./meter.js";

/**
 * Side-by-side benchmarks: each case in a process of its own, baseline and bus in turn, ratios within a round, medians over the rounds.
 * Absolute figures say as much of the machine as of the bus; the ratios are what counts. Nothing fails here.
 */
const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, only: { type: "string" }, json: { type: "boolean", default: false } },
});
const rounds = Number(values.rounds);
/** Where each broker is found, and what takes away what a round left there. */
const BROKERS = {
  rabbitmq: { variable: "RABBITMQ_URL", removeAll },
  kafka: { variable: "KAFKA_BROKERS", removeAll: removeAllOfKafka },
  "service-bus": { variable: "SERVICE_BUS_CONNECTION", removeAll: removeAllOfServiceBus },
} as const;

interface Round {
  readonly baseline: Figures;
  readonly bus: Figures;
}

async function runCase(comparison: Comparison, side: "baseline" | "between" | "bus", prefix: string): Promise<Figures> {
  const child = fork(fileURLToPath(new URL("./one-case.js", import.meta.url)), [comparison.name, side, prefix]);
  const figures = once(child, "message") as Promise<[Figures]>;
  const [code] = (await Promise.race([once(child, "exit"), figures.then(() => once(child, "exit"))])) as [number];
  if (code !== 0) throw new Error(`${comparison.name}, ${side}: the process ended with exit code ${code}`);
  return (await figures)[0];
}

async function runRounds(comparison: Comparison): Promise<readonly Round[]> {
  const results: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    const prefix = `b${process.pid}-${round}.`;
    const baseline = await runCase(comparison, "baseline", prefix);
    if (comparison.between) await runCase(comparison, "between", prefix);
    results.push({ baseline, bus: await runCase(comparison, "bus", prefix) });
    if (comparison.needs !== "nothing") await BROKERS[comparison.needs].removeAll(prefix);
  }
  return results;
}

function line(goal: Goal, results: readonly Round[]): string {
  const ratios = results.map(({ bus, baseline }) => goal.ratio(bus, baseline));
  const ratio = median(ratios);
  const wanted = goal.atLeast !== undefined ? `at least ${goal.atLeast}` : goal.atMost !== undefined ? `at most ${goal.atMost}` : "";
  const met = wanted === "" ? "" : ratio >= (goal.atLeast ?? 0) && ratio <= (goal.atMost ?? Number.POSITIVE_INFINITY) ? "met" : "missed";
  const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return `  ${goal.what.padEnd(28)} ${`${ratio.toFixed(2)} ${goal.unit ?? "x"}`.padStart(8)}   (${spread})   ${`${wanted} ${met}`.trim()}`;
}

function describe(side: string, all: readonly Figures[]): string {
  const of = (pick: (figures: Figures) => number): string => median(all.map(pick)).toFixed(pick(all[0] as Figures) < 100 ? 2 : 0);
  if (all[0]?.cpuPercent !== undefined) {
    return `  ${side.padEnd(9)} ${of((f) => f.cpuPercent ?? 0)} % of a core, ${of((f) => f.rssMb)} MB at most, stop() ${of((f) => f.stopMs ?? 0)} ms`;
  }
  const latency = all[0]?.p50Ms === undefined ? "" : `, p50 ${of((f) => f.p50Ms ?? 0)} ms, p99 ${of((f) => f.p99Ms ?? 0)} ms`;
  return `  ${side.padEnd(9)} ${of((f) => f.rate)} msg/s, ${of((f) => f.cpuMicrosPerMessage)} us CPU a message, ${of((f) => f.rssMb)} MB at most${latency}`;
}

console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}, ${rounds} rounds, medians\n`);
const report: Record<string, readonly Round[]> = {};
for (const comparison of COMPARISONS.filter(({ name }) => values.only === undefined || name.includes(values.only))) {
  console.log(comparison.name);
  const variable = comparison.needs === "nothing" ? undefined : BROKERS[comparison.needs].variable;
  if (variable !== undefined && process.env[variable] === undefined) {
    const how =
      comparison.needs === "service-bus"
        ? "npx trolleybus-service-bus-emulator, and the connection string that it prints"
        : `eval "$(node scripts/brokers env)" after npm run brokers up ${comparison.needs}`;
    console.log(`  left out: ${variable} names no broker (${how})\n`);
    continue;
  }
  const results = await runRounds(comparison);
  report[comparison.name] = results;
  for (const text of [
    describe(
      "baseline",
      results.map((r) => r.baseline),
    ),
    describe(
      "bus",
      results.map((r) => r.bus),
    ),
  ])
    console.log(text);
  console.log(`${comparison.goals.map((goal) => line(goal, results)).join("\n")}\n`);
}
if (values.json) console.log(JSON.stringify(report));
