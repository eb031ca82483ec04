import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { startEmulator } from "../../src/emulator.js";

const SDK = "azure-servicebus==7.15.0";
const VENV = fileURLToPath(new URL("../../../../build/python-administration", import.meta.url));
const CHECKS = fileURLToPath(new URL("./administration.py", import.meta.url));
const python = `${VENV}/bin/python`;
const run = promisify(execFile);

// An environment of its own: the other tests under this SDK may be making theirs at the same time.
beforeAll(async () => {
  if (!existsSync(python)) await run("python3", ["-m", "venv", VENV]);
  await run(python, ["-c", "import azure.servicebus"]).catch(() =>
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK]),
  );
}, 240_000);

test("the administration client for Python creates, reads, changes, lists, counts and deletes what there is", {
  timeout: 120_000,
}, async () => {
  const emulator = await startEmulator();
  try {
    const { stdout } = await run(python, [CHECKS, `127.0.0.1:${emulator.adminPort}`, emulator.connectionString]);
    const names = ["queues", "refusals", "topics_and_subscriptions", "rules", "lists", "counts", "namespace", "wrong_key"];
    expect(stdout.trim().split("\n")).toEqual(names.map((name) => `ok ${name}`));
  } finally {
    await emulator.stop();
  }
});
