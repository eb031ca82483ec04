import { appendFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checksumOf, Ledger, machineTime, readLedgers } from "./ledger.js";
import type { LedgerEvent } from "./ledger-event.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ledger-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function readAll(): Promise<LedgerEvent[]> {
  const events: LedgerEvent[] = [];
  for await (const event of readLedgers(folder)) events.push(event);
  return events;
}

describe("the ledger", () => {
  it("has every event on disk when write returns, in order, with process, time and sequence", async () => {
    const before = machineTime();
    const ledger = new Ledger(folder, "publisher-1");
    ledger.write({ event: "attempt", id: "a", checksum: "c", expect: "handled", endpoints: ["work"] });
    ledger.write({ event: "outcome", id: "a", outcome: "acknowledged" });
    const events = await readAll();
    expect(events).toMatchObject([
      { event: "attempt", id: "a", process: "publisher-1", pid: process.pid, sequence: 0 },
      { event: "outcome", id: "a", sequence: 1 },
    ]);
    expect(events.every((event, i) => event.at >= (events[i - 1]?.at ?? before))).toBe(true);
    ledger.close();
  });

  it("keeps one file for each process", async () => {
    for (const name of ["consumer-1", "consumer-2"]) {
      const ledger = new Ledger(folder, name);
      ledger.write({ event: "memory", megabytes: 1 });
      ledger.close();
    }
    expect(readdirSync(folder).length).toBe(2);
    expect((await readAll()).length).toBe(2);
  });

  it("does not read over a torn or a missing line", async () => {
    const ledger = new Ledger(folder, "torn");
    ledger.write({ event: "memory", megabytes: 1 });
    ledger.close();
    const file = join(folder, readdirSync(folder)[0] ?? "");
    appendFileSync(file, '{"event":"mem');
    await expect(readAll()).rejects.toThrow("torn or missing");
    rmSync(file);
    appendFileSync(file, `${JSON.stringify({ event: "memory", megabytes: 1, at: 0, process: "x", pid: 1, sequence: 1 })}\n`);
    await expect(readAll()).rejects.toThrow("line 1");
  });

  it("tells bodies apart by their checksum", () => {
    expect(checksumOf("a", 1, undefined)).toBe(checksumOf("a", 1, undefined));
    expect(checksumOf("a", 1)).not.toBe(checksumOf("a", 2));
    expect(checksumOf("ab", "c")).not.toBe(checksumOf("a", "bc"));
  });
});
