import { createHash } from "node:crypto";
import { closeSync, constants, createReadStream, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { LedgerEntry, LedgerEvent } from "./ledger-event.js";

/** Milliseconds of the clock that all processes of this machine share. */
export function machineTime(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** What a body is recognised by, at both ends. */
export function checksumOf(...parts: readonly (string | number | undefined)[]): string {
  return createHash("sha1").update(JSON.stringify(parts)).digest("base64url").slice(0, 16);
}

/**
 * An append-only file of one process: one JSON line an event, written before the call returns, so that SIGKILL loses none of it. (The
 * page cache outlives the process; a power failure is not among the faults.)
 */
export class Ledger {
  readonly #file: number;
  readonly #process: string;
  #sequence = 0;

  constructor(folder: string, processName: string) {
    this.#process = processName;
    this.#file = openSync(
      join(folder, `${processName}.${process.pid}.jsonl`),
      constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY,
      0o644,
    );
  }

  write(entry: LedgerEntry): void {
    const stamp = { at: machineTime(), process: this.#process, pid: process.pid, sequence: this.#sequence++ };
    writeSync(this.#file, `${JSON.stringify({ ...entry, ...stamp })}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** All events of a folder, file by file; within a file in the order of writing. @throws Error at a line that is torn or missing. */
export async function* readLedgers(folder: string): AsyncGenerator<LedgerEvent> {
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".jsonl")) continue;
    let expected = 0;
    for await (const line of createInterface({ input: createReadStream(join(folder, name)) })) {
      const event = parse(line);
      if (event?.sequence !== expected)
        throw new Error(`${name}: line ${expected + 1} of the ledger is torn or missing: ${line.slice(0, 200)}`);
      expected++;
      yield event;
    }
  }
}

function parse(line: string): LedgerEvent | undefined {
  try {
    return JSON.parse(line) as LedgerEvent;
  } catch {
    return undefined;
  }
}
