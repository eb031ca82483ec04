import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { SharedKeyAuthorizer } from "../../src/authorization/shared-key-authorizer.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { BrokerServer } from "../support/broker-server.js";

const SDK = "azure-servicebus==7.15.0";
const VENV = fileURLToPath(new URL("../../../../node_modules/.cache/python-sdk", import.meta.url));
const CHECKS = fileURLToPath(new URL("./checks.py", import.meta.url));
const python = `${VENV}/bin/python`;

const run = promisify(execFile);
/** Whoever has no Python can work on the emulator all the same; continuous integration has it, and must not leave this out. */
const hasPython = await run("python3", ["--version"]).then(
  () => true,
  () => false,
);

beforeAll(async () => {
  if (!hasPython && !process.env["CI"]) return;
  if (!existsSync(python)) await run("python3", ["-m", "venv", VENV]);
  const installed = await run(python, ["-c", "from importlib.metadata import version; print(version('azure-servicebus'))"]).catch(() => ({
    stdout: "",
  }));
  if (installed.stdout.trim() === SDK.split("==")[1]) return;
  await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK]);
}, 240_000);

/** The entities that checks.py uses. */
function namespaceOfTheChecks(): ServiceBusNamespace {
  const namespace = new ServiceBusNamespace();
  namespace.createQueue("plain");
  namespace.createQueue("twice", { maxDeliveryCount: 2 });
  namespace.createQueue("short", { lockDuration: 2_000 });
  namespace.createQueue("sessions", { requiresSession: true });
  namespace.createQueue("target");
  namespace.createTopic("events");
  namespace.createSubscription("events", "all");
  namespace.createSubscription("events", "red", {}, [
    {
      name: "red",
      filter: { kind: "sql", expression: "color = 'red' AND size > 2 AND sys.Label IS NOT NULL OR size = 9" },
      action: undefined,
    },
  ]);
  namespace.createSubscription("events", "forwarding", { forwardTo: "target" }, [
    {
      name: "blue",
      filter: { kind: "correlation", correlation: { label: "paint", properties: new Map([["color", "blue"]]) } },
      action: undefined,
    },
  ]);
  return namespace;
}

test.skipIf(!hasPython && !process.env["CI"])(
  "the SDK for Python sends, receives, settles, schedules, holds sessions, filters and forwards",
  { timeout: 150_000 },
  async () => {
    const namespace = namespaceOfTheChecks();
    await using broker = await BrokerServer.start({ namespace, authorizer: new SharedKeyAuthorizer(namespace) });
    const child = spawn(python, [CHECKS, broker.connectionString], { stdio: ["ignore", "pipe", "inherit"] });
    const results: string[] = [];
    let failure = "";
    for await (const line of createInterface(child.stdout)) {
      if (/^(ok|FAILED) /.test(line)) results.push(line.split(" ").slice(0, 2).join(" "));
      if (!line.startsWith("ok ")) failure += `${line}\n`;
    }
    expect(failure).toBe("");
    expect(results.length).toBeGreaterThan(15);
  },
);
