import { writeFileSync } from "node:fs";
import { check, type Findings, holds, problems } from "./checker.js";
import { CLIENTS } from "./clients/index.js";
import { installPeer, peerVersion } from "./clients/peer-packages.js";
import { controlNamed } from "./controls/index.js";
import { FaultRun } from "./fault-run.js";
import { readLedgers } from "./ledger.js";
import { ORDERED } from "./messages.js";
import { versionOfPackage } from "./package-version.js";
import { stories, table, verdict } from "./report.js";
import { parseRunOptions, type RunOptions, USAGE } from "./run-options.js";
import { storeNamed } from "./stores.js";
import { transportNamed } from "./transports/index.js";
import type { BrokerUnderTest } from "./transports/transport.js";

const EXIT = { holds: 0, fails: 1, usage: 2, unavailable: 3, controlFails: 4 } as const;

const INTERRUPTS = ["SIGINT", "SIGTERM"] as const;

// Not by running dry: after a run in which many children were killed Node 20 was seen to wait for ever for a handle that never closes.
process.exit(await main());

async function main(): Promise<number> {
  let options: RunOptions;
  try {
    options = parseRunOptions(process.argv.slice(2));
    if (options.control !== undefined) controlNamed(options.control, options.transport);
    storeNamed(options.store);
    if (!CLIENTS.includes(options.client)) throw new Error(`there is no client "${options.client}"; there are ${CLIENTS.join(", ")}`);
    const { name, brokers } = transportNamed(options.transport);
    if (options.broker !== undefined && !brokers.includes(options.broker)) {
      throw new Error(`there is no broker "${options.broker}" of ${name}; there are ${brokers.join(", ")}`);
    }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return EXIT.usage;
  }
  const transport = transportNamed(options.transport);
  let broker: BrokerUnderTest;
  try {
    broker = await transport.start(options.broker ?? transport.brokers[0] ?? "", options.consumers + options.publishers);
  } catch (error) {
    console.error((error as Error).message);
    return (error as Error).name === "BrokerUnavailable" ? EXIT.unavailable : EXIT.fails;
  }
  try {
    return await runAgainst(broker, options);
  } catch (error) {
    console.error(error instanceof Error && error.name === "AbortError" ? "interrupted" : error);
    console.log(`FAIL ${headline(options)}: it did not come to its end`);
    return EXIT.fails;
  } finally {
    await broker.close();
  }
}

async function runAgainst(broker: BrokerUnderTest, options: RunOptions): Promise<number> {
  installPeer(options.client);
  printHead(broker, options);
  const run = new FaultRun(options, broker);
  const interrupt = (): void => run.interrupt();
  for (const signal of INTERRUPTS) process.once(signal, interrupt);
  try {
    await run.run((line) => console.log(line));
  } finally {
    await run.close();
    for (const signal of INTERRUPTS) process.off(signal, interrupt);
  }
  const findings = await check(readLedgers(run.folder), { ordered: [ORDERED], aftermathMs: broker.aftermathMs });
  console.log(`\n${table(findings)}`);
  console.log(`  on again after a fault: median ${seconds(run.recoveriesMs, 0.5)}, longest ${seconds(run.recoveriesMs, 1)}\n`);
  const good = holds(findings);
  if (!good) console.log(`${await stories(findings, run.folder)}\n\nledgers and logs: ${run.folder}`);
  else if (options.keep) console.log(`ledgers and logs: ${run.folder}`);
  else run.deleteFolder();
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(summary(findings, broker, options, run), undefined, 2)}\n`);
  const exit = good ? EXIT.holds : redOnItsMistake(findings, options) ? EXIT.fails : EXIT.controlFails;
  if (exit === EXIT.controlFails) console.log(`the control ${options.control} had to be red on something else`);
  console.log(verdict(findings, headline(options)));
  return exit;
}

/** A control that is red on something else shows nothing. */
function redOnItsMistake(findings: Findings, { control, transport }: RunOptions): boolean {
  if (control === undefined) return true;
  const { red } = controlNamed(control, transport);
  return problems(findings).some(({ what }) => what === red);
}

function headline({ transport, broker, client, store, control, mix, seed }: RunOptions): string {
  const what = [transport, broker, client === "trolleybus" ? `store ${store}` : client, control && `control ${control}`, `mix ${mix}`];
  return `${what.filter(Boolean).join(", ")}, seed ${seed}`;
}

function printHead(broker: BrokerUnderTest, options: RunOptions): void {
  console.log(`faults: ${headline(options)}`);
  for (const [name, value] of Object.entries({ ...broker.description, ...versions(options) })) console.log(`  ${name}: ${value}`);
  console.log(`  services: ${options.consumers} consumers, ${options.publishers} publishers of ${options.rate} messages a second\n`);
}

function versions({ client }: RunOptions): Record<string, string> {
  return { node: process.version, [client]: peerVersion(client) ?? versionOfPackage(client === "raw-amqplib" ? "amqplib" : client) };
}

function seconds(sortedMs: readonly number[], quantile: number): string {
  const ms = sortedMs[Math.min(sortedMs.length - 1, Math.floor(sortedMs.length * quantile))];
  return ms === undefined ? "-" : `${(ms / 1_000).toFixed(1)} s`;
}

function summary(findings: Findings, broker: BrokerUnderTest, options: RunOptions, run: FaultRun): object {
  const { counts, repeats, ...lists } = findings;
  return {
    options,
    versions: { ...broker.description, ...versions(options) },
    holds: holds(findings),
    problems: problems(findings),
    counts,
    repeats: { all: repeats.all.length, bound: repeats.bound, unexplained: repeats.unexplained.length },
    recoveriesMs: run.recoveriesMs.map(Math.round),
    ...lists,
  };
}
