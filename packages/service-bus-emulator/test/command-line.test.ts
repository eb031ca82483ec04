import { type ChildProcess, execFile, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ServiceBusClient } from "@azure/service-bus";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { TemporaryFolder } from "./support/temporary-folder.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const cli = join(root, "packages/service-bus-emulator/dist/cli.js");

interface Finished {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** An emulator in a process of its own. */
interface Started {
  readonly process: ChildProcess;
  readonly text: string;
  readonly connectionString: string;
  readonly adminPort: number;
}

const running: ChildProcess[] = [];

beforeAll(async () => {
  await promisify(execFile)(process.execPath, [
    join(root, "node_modules/typescript/bin/tsc"),
    "-p",
    join(root, "packages/service-bus-emulator"),
  ]);
}, 120_000);

afterEach(async () => {
  for (const child of running.splice(0)) await end(child, "SIGKILL");
});

/** Runs to the end. */
function run(...args: string[]): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err }));
  });
}

async function start(...args: string[]): Promise<Started> {
  const child = spawn(process.execPath, [cli, "--port", "0", "--admin-port", "0", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes("administration clients:\n  Endpoint=") && text.endsWith("\n")) break;
  }
  const [connectionString] = /Endpoint=\S+/.exec(text) ?? [];
  const [, adminPort] = /Administration\s+http:\/\/127\.0\.0\.1:(\d+)/.exec(text) ?? [];
  if (!connectionString) throw new Error(`It said: ${text}`);
  return { process: child, text, connectionString, adminPort: Number(adminPort) };
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve(child.exitCode);
    child.once("exit", (code) => resolve(code));
    child.kill(signal);
  });
}

const CONFIG = {
  UserConfig: {
    Namespaces: [{ Name: "sbemulatorns", Queues: [{ Name: "orders" }], Topics: [] }],
    Logging: { Type: "File" },
  },
};

// Each test starts processes: on a busy machine that takes its time.
describe("The command line", { timeout: 90_000 }, () => {
  it("explains itself, and tells its version", async () => {
    const help = await run("--help");
    expect(help.code).toBe(0);
    for (const option of ["--port", "--admin-port", "--host", "--config", "--data", "--tier"]) expect(help.out).toContain(option);
    expect((await run("--version")).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("says what is wrong with its arguments", async () => {
    expect(await run("--prot", "1")).toMatchObject({ code: 2, err: expect.stringContaining("'--prot'") });
    expect(await run("--port", "many")).toMatchObject({ code: 2, err: expect.stringContaining('--port is "many"') });
    expect(await run("--tier", "Gold")).toMatchObject({ code: 2, err: expect.stringContaining("Basic, Standard, Premium") });
    expect(await run("--config", "/no/such/file.json")).toMatchObject({
      code: 1,
      err: expect.stringContaining('no file or folder "/no/such/file.json"'),
    });
  });

  it("says what is wrong with a configuration, all of it", async () => {
    await using folder = await TemporaryFolder.make();
    const file = join(folder.path, "Config.json");
    await writeFile(file, "{ not json");
    expect((await run("--config", file)).err).toContain("it is no JSON");
    await writeFile(
      file,
      JSON.stringify({
        UserConfig: { Namespaces: [{ Name: "n", Queues: [{ Name: "a", Properties: { LockDurations: "x", MaxDeliveryCount: "3" } }] }] },
      }),
    );
    const { code, err } = await run("--config", file, "--port", "0", "--admin-port", "0");
    expect(code).toBe(1);
    expect(err).toContain('did you mean "LockDuration"?');
    expect(err).toContain('"3" is not a whole number');
  });

  it("says which port is taken", async () => {
    const blocker = createServer();
    const port = await new Promise<number>((resolve) => {
      blocker.listen(0, "127.0.0.1", () => resolve((blocker.address() as { port: number }).port));
    });
    try {
      expect(await run("--port", String(port), "--admin-port", "0")).toMatchObject({
        code: 1,
        err: expect.stringContaining(`Port ${port} is taken`),
      });
    } finally {
      blocker.close();
    }
  });

  it("prints a connection string that works, and ends cleanly when told to", async () => {
    await using folder = await TemporaryFolder.make();
    const file = join(folder.path, "Config.json");
    await writeFile(file, JSON.stringify(CONFIG));
    const emulator = await start("--config", file);
    const client = new ServiceBusClient(emulator.connectionString);
    await client.createSender("orders").sendMessages({ body: "hello" });
    const [received] = await client
      .createReceiver("orders", { receiveMode: "receiveAndDelete" })
      .receiveMessages(1, { maxWaitTimeInMs: 5000 });
    expect(received?.body).toBe("hello");
    await client.close();
    const health = await fetch(`http://127.0.0.1:${emulator.adminPort}/health`);
    expect([health.status, await health.json()]).toEqual([200, { status: "healthy", message: "Service healthy." }]);
    expect(await end(emulator.process, "SIGTERM")).toBe(0);
  });

  it("keeps what it accepted through kill -9", async () => {
    await using folder = await TemporaryFolder.make();
    const file = join(folder.path, "Config.json");
    await writeFile(file, JSON.stringify(CONFIG));
    const data = join(folder.path, "data");
    const first = await start("--config", file, "--data", data);
    const client = new ServiceBusClient(first.connectionString, { retryOptions: { maxRetries: 0, timeoutInMs: 5000 } });
    const sender = client.createSender("orders");
    const accepted: number[] = [];
    const sending = (async () => {
      for (let i = 0; ; i++) {
        await sender.sendMessages({ body: i, messageId: String(i) });
        accepted.push(i);
      }
    })().catch(() => undefined);
    while (accepted.length < 50) await new Promise((resolve) => setImmediate(resolve));
    await end(first.process, "SIGKILL");
    await sending;
    await client.close();
    const second = await start("--config", file, "--data", data);
    const reader = new ServiceBusClient(second.connectionString);
    const found = new Set<unknown>();
    const receiver = reader.createReceiver("orders", { receiveMode: "receiveAndDelete" });
    while (found.size < accepted.length) {
      const messages = await receiver.receiveMessages(500, { maxWaitTimeInMs: 10_000 });
      if (messages.length === 0) break;
      for (const { body } of messages) found.add(body);
    }
    await reader.close();
    expect(accepted.filter((i) => !found.has(i))).toEqual([]);
  });
});
