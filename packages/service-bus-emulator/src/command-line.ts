import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ConfigError } from "./config/config-problems.js";
import { type Emulator, startEmulator } from "./emulator.js";
import { type EmulatorOptions, TIERS } from "./emulator-options.js";

/** The ports of Microsoft's emulator. */
const PORT = 5672;
const ADMIN_PORT = 5300;

const HELP = `An emulator of Azure Service Bus for development and tests.

Usage: trolleybus-service-bus-emulator [options]

  --port NUMBER        port of AMQP (default ${PORT}; 0 takes a free one)
  --admin-port NUMBER  port of the administration API and the health page (default ${ADMIN_PORT}; 0 takes a free one)
  --host ADDRESS       address to listen on (default 127.0.0.1; 0.0.0.0 for all)
  --config FILE        queues, topics, subscriptions and rules, in the format of Microsoft's Config.json
  --data FOLDER        keep messages there through a restart (default: in memory)
  --tier TIER          Basic, Standard or Premium (default Standard)
  --help               show this
  --version            show the version
`;

/** What the command line says is wrong: its text is shown without a stack. */
class UsageError extends Error {}

/** Runs the emulator until it is told to end (SIGINT, SIGTERM). The exit code is 1 when it cannot start, 2 for wrong arguments. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  try {
    const options = parse(args);
    if (typeof options === "string") {
      process.stdout.write(options === "help" ? HELP : `${await version()}\n`);
      return;
    }
    const emulator = await startEmulator(options);
    process.stdout.write(greeting(emulator, options));
    endOnSignal(emulator);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

function parse(args: readonly string[]): EmulatorOptions | "help" | "version" {
  const values = parsed(args);
  if (values.help) return "help";
  if (values.version) return "version";
  const tier = TIERS.find((known) => known.toLowerCase() === (values.tier ?? "Standard").toLowerCase());
  if (!tier) throw new UsageError(`--tier is "${values.tier}", but must be one of ${TIERS.join(", ")}.`);
  return {
    port: portOf("--port", values.port, PORT),
    adminPort: portOf("--admin-port", values["admin-port"], ADMIN_PORT),
    host: values.host,
    config: values.config,
    dataFolder: values.data ?? values["data-folder"],
    tier,
  };
}

interface Values {
  readonly port?: string;
  readonly "admin-port"?: string;
  readonly host?: string;
  readonly config?: string;
  readonly data?: string;
  readonly "data-folder"?: string;
  readonly tier?: string;
  readonly help?: boolean;
  readonly version?: boolean;
}

function parsed(args: readonly string[]): Values {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const options = {
      port: text,
      "admin-port": text,
      host: text,
      config: text,
      data: text,
      "data-folder": text,
      tier: text,
      help: { ...flag, short: "h" },
      version: { ...flag, short: "v" },
    };
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\nSee --help.`);
  }
}

function portOf(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new UsageError(`${option} is "${text}", but must be a number from 0 to 65535.`);
  return Number(text);
}

function greeting(emulator: Emulator, options: EmulatorOptions): string {
  const data = options.dataFolder === undefined ? "in memory, gone when this ends" : options.dataFolder;
  return `The Service Bus emulator is ready.
  AMQP            ${emulator.host}:${emulator.port}
  Administration  http://${emulator.host}:${emulator.adminPort} (health page: /health)
  Messages        ${data}
Connection string:
  ${emulator.connectionString}
Connection string for administration clients:
  ${emulator.adminConnectionString}
`;
}

/** Ends cleanly at the first signal, at once at the second. */
function endOnSignal(emulator: Emulator): void {
  let ending = false;
  const end = (): void => {
    if (ending) process.exit(130);
    ending = true;
    emulator.stop().catch((error: unknown) => {
      process.stderr.write(`${explain(error)}\n`);
      process.exitCode = 1;
    });
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
}

function explain(error: unknown): string {
  if (error instanceof UsageError || error instanceof ConfigError) return error.message;
  const { code, port, path, message } = error as { code?: string; port?: number; path?: string; message?: string };
  if (code === "EADDRINUSE")
    return `Port ${port} is taken by another program. Choose another one with --port or --admin-port, or end that program.`;
  if (code === "EACCES" && port !== undefined) return `Port ${port} may not be used by this user. Choose one above 1023.`;
  if (code === "ENOENT") return `There is no file or folder "${path}".`;
  return message ?? String(error);
}

async function version(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}
