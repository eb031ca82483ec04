import { inspect } from "node:util";
import { Ledger } from "./ledger.js";
import { CONFIG_VARIABLE, type Command, type Dying, type ServiceConfig, type Status } from "./protocol.js";

const STATUS_EVERY_MS = 500;
const MEMORY_EVERY_MS = 2_000;

/** What a service process has beside its work: its ledger, its watchers, its line to the runner. */
export interface Service {
  readonly config: ServiceConfig;
  readonly ledger: Ledger;
  /** Hears what the runner says. */
  onCommand(listener: (command: Command) => void): void;
  /** Tells the runner that this process is about to die of what it does, and waits until it is told. */
  announceDeath(why: string): Promise<void>;
}

/**
 * Runs a service until it is told to end by SIGTERM. What must never happen (an unhandled rejection, an uncaught error, a leak of listeners) goes to
 * the ledger as trouble.
 */
export function runService(
  work: (service: Service) => Promise<{ readonly status: () => Status; readonly stop: () => Promise<void> }>,
): void {
  const config = JSON.parse(process.env[CONFIG_VARIABLE] ?? "") as ServiceConfig;
  const ledger = new Ledger(config.folder, config.name);
  watchForTrouble(ledger);
  ledger.write({ event: "process", what: `begins, ${process.version}` });
  ledger.write({ event: "memory", megabytes: residentMegabytes() });
  setInterval(() => ledger.write({ event: "memory", megabytes: residentMegabytes() }), MEMORY_EVERY_MS).unref();
  const service: Service = {
    config,
    ledger,
    onCommand: (listener) => process.on("message", (message) => listener(message as Command)),
    announceDeath: async (why) => {
      ledger.write({ event: "process", what: `dies: ${why}` });
      await new Promise((resolve) => process.send?.({ dying: why } satisfies Dying, resolve));
    },
  };
  start(service, work).catch((error: unknown) => {
    ledger.write({ event: "trouble", text: `could not start: ${inspect(error).slice(0, 4_000)}` });
    process.exit(1);
  });
}

async function start(service: Service, work: Parameters<typeof runService>[0]): Promise<void> {
  const { ledger } = service;
  const { status, stop } = await work(service);
  const report = setInterval(() => process.send?.(status()), STATUS_EVERY_MS);
  // The runner is gone: nobody would ever stop this process.
  process.once("disconnect", () => process.exit(1));
  process.once("SIGTERM", () => {
    ledger.write({ event: "process", what: "stops" });
    clearInterval(report);
    stop().then(
      () => {
        ledger.write({ event: "process", what: "ends" });
        process.exit(0);
      },
      (error: unknown) => {
        ledger.write({ event: "trouble", text: `stop failed: ${inspect(error)}` });
        process.exit(1);
      },
    );
  });
  ledger.write({ event: "process", what: "is ready" });
  process.send?.(status());
}

function watchForTrouble(ledger: Ledger): void {
  const fatal = (what: string) => (error: unknown) => {
    ledger.write({ event: "trouble", text: `${what}: ${inspect(error).slice(0, 4_000)}` });
    process.exit(1);
  };
  process.on("uncaughtException", fatal("uncaught error"));
  process.on("unhandledRejection", fatal("unhandled rejection"));
  process.on("warning", (warning) => {
    if (warning.name === "MaxListenersExceededWarning") ledger.write({ event: "trouble", text: inspect(warning) });
  });
}

function residentMegabytes(): number {
  return process.memoryUsage.rss() / 1_048_576;
}
