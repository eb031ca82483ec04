import type { SharedAccessKey } from "./authorization/shared-key-authorizer.js";
import type { Right } from "./broker/contracts.js";
import type { Tier } from "./broker/descriptions.js";
import { ConfigError, ConfigProblems, describe } from "./config/config-problems.js";

export interface EmulatorOptions {
  /** Address to listen on. Default "127.0.0.1": this machine alone. */
  readonly host?: string | undefined;
  /** Of AMQP. Default 0: a free one. */
  readonly port?: number | undefined;
  /** Of the administration API and the health page. Default 0: a free one. */
  readonly adminPort?: number | undefined;
  /** Entities in the format of Microsoft's Config.json: the path of such a file, or its content. Default: none. */
  readonly config?: string | object | undefined;
  /** Where messages are kept through a restart. Default: nowhere, they are in memory. */
  readonly dataFolder?: string | undefined;
  /** Keys that clients may use, at least one; the first one is in the connection strings. Default: {@link DEVELOPMENT_KEY}. */
  readonly keys?: readonly SharedAccessKey[] | undefined;
  /** Tier that the namespace has. Default "Standard". */
  readonly tier?: Tier | undefined;
}

/** Every {@link Tier}. */
export const TIERS: readonly Tier[] = ["Basic", "Standard", "Premium"];

const RIGHTS: readonly Right[] = ["Listen", "Send", "Manage"];
const OPTIONS: readonly string[] = [
  "host",
  "port",
  "adminPort",
  "config",
  "dataFolder",
  "keys",
  "tier",
] satisfies (keyof EmulatorOptions)[];
const KEY_OPTIONS: readonly string[] = ["keyName", "key", "rights"] satisfies (keyof SharedAccessKey)[];

/** @throws ConfigError listing every mistake in the options. What `config` holds is checked where it is read. */
export function checkEmulatorOptions(options: EmulatorOptions): void {
  const problems = new ConfigProblems();
  const given = problems.object("startEmulator", options, OPTIONS);
  for (const name of ["host", "dataFolder"]) if (given[name] !== undefined) problems.text(name, given[name]);
  for (const name of ["port", "adminPort"]) checkPort(name, given[name], problems);
  if (given["tier"] !== undefined && !TIERS.some((tier) => tier === given["tier"]))
    problems.add("tier", `one of ${TIERS.join(", ")} was expected, not ${describe(given["tier"])}.`);
  if (given["keys"] !== undefined) checkKeys(given["keys"], problems);
  if (problems.all.length > 0) throw new ConfigError("What the emulator is started with", problems.all);
}

function checkPort(name: string, value: unknown, problems: ConfigProblems): void {
  if (value === undefined || (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535)) return;
  problems.add(name, `a port from 0 (a free one) to 65535 was expected, not ${describe(value)}.`);
}

function checkKeys(value: unknown, problems: ConfigProblems): void {
  const keys = problems.list("keys", value);
  if (Array.isArray(value) && keys.length === 0)
    problems.add("keys", "the list is empty: nobody could connect. Leave it out for the documented key.");
  for (const [index, each] of keys.entries()) {
    const place = `keys[${index}]`;
    const { keyName, key, rights } = problems.object(place, each ?? null, KEY_OPTIONS);
    problems.text(`${place}.keyName`, keyName);
    // What it is instead is not told: it may be a secret all the same.
    if (typeof key !== "string" || key === "") problems.add(`${place}.key`, "a text was expected.");
    for (const right of problems.list(`${place}.rights`, rights)) {
      if (!RIGHTS.some((one) => one === right))
        problems.add(`${place}.rights`, `each is one of ${RIGHTS.join(", ")}, not ${describe(right)}.`);
    }
  }
}
