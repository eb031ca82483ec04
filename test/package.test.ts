import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithRabbitmq } from "./support/brokers.js";
import { ConsumerProject, type PackedPackage, packPackage } from "./support/consumer-project.js";
import { projectRoot } from "./support/source-tree.js";

const manifest = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
  version: string;
  devDependencies: { amqplib: string };
};

let folder: string;
let packed: PackedPackage;
/** Has the package with amqplib beside it. */
let project: ConsumerProject;
/** Has the package alone. */
let bare: ConsumerProject;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trolleybus-package-"));
  packed = packPackage(folder);
  project = new ConsumerProject(packed.tarball, `amqplib@${manifest.devDependencies.amqplib}`);
  bare = new ConsumerProject(packed.tarball);
});

afterAll(() => {
  project?.remove();
  bare?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** A service as a user writes it; it handles two messages and prints what it saw. */
const SERVICE = `
import { createBus, type ConsumeContext, type IConsumer } from "trolleybus";

class OrderPlaced {
  static readonly messageType = "shop.order-placed";
  constructor(readonly orderId: string) {}
}

class OrderShipped {
  static readonly messageType = "shop.order-shipped";
  constructor(readonly orderId: string) {}
}

declare const process: { env: Record<string, string | undefined> };
declare const console: { log(text: string): void };

class ShippingConsumer implements IConsumer<OrderPlaced> {
  async consume(order: OrderPlaced, context: ConsumeContext): Promise<void> {
    await context.publish(new OrderShipped(order.orderId));
  }
}

const unique = process.env["UNIQUE_NAME"] ?? "shipping";
const bus = createBus({ service: unique, transport: process.env["BUS_URL"] ?? "memory:" });
bus.subscribe(OrderPlaced, new ShippingConsumer());
const shipped = new Promise<string>((resolve) => {
  bus.subscribe(OrderShipped, async (message) => resolve(message.orderId));
});
await bus.start();
await bus.publish(new OrderPlaced("42"));
console.log(\`shipped \${await shipped}\`);
await bus.stop();
`;

/** Uses every subpath; nothing of it is run. */
const EVERY_ENTRY = `
export * as core from "trolleybus";
export * as memory from "trolleybus/memory";
export * as rabbitmq from "trolleybus/rabbitmq";
export * as conformance from "trolleybus/testing/conformance";
`;

describe("the packed package", () => {
  test("holds the build, the licence, the changelog, the README, and nothing else", () => {
    const surprises = packed.files.filter((file) => !/^dist\/(src|transports|testing)\/.+\.(js|d\.ts|js\.map)$/.test(file));
    expect(surprises.sort()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
  });

  test("brings one dependency", () => {
    expect(bare.installed()).toEqual(["trolleybus", "ulid"]);
  });

  test("compiles under every strict flag, declarations included, without the client of any broker and without Node's types", () => {
    bare.write("entries.ts", EVERY_ENTRY);
    bare.write("service.ts", SERVICE);
    expect(bare.compile()).toMatchObject({ status: 0, stdout: "" });
  });

  test("runs a consumer on the embedded transport", () => {
    bare.write("service.ts", SERVICE);
    expect(bare.compile()).toMatchObject({ status: 0 });
    expect(bare.run("out/service.js")).toMatchObject({ status: 0, stdout: "shipped 42\n", stderr: "" });
  });

  test("says what to install when the client of the chosen broker is missing", () => {
    bare.write(
      "missing.mjs",
      `import { createBus } from "trolleybus";
       try { await createBus({ service: "shipping", transport: "amqp://user:secret@127.0.0.1:1" }).start(); console.log("started"); }
       catch (error) { console.log(JSON.stringify({ name: error.name, code: error.code, message: error.message })); }`,
    );
    const { status, stdout } = bare.run("missing.mjs");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ message: expect.stringContaining("npm install amqplib") });
    expect(stdout).not.toContain("secret");
  });

  test("compiles and runs with amqplib beside it", () => {
    project.write("entries.ts", EVERY_ENTRY);
    project.write("service.ts", SERVICE);
    expect(project.compile()).toMatchObject({ status: 0, stdout: "" });
    expect(project.run("out/service.js")).toMatchObject({ status: 0, stdout: "shipped 42\n" });
  });
});

describeWithRabbitmq("the packed package", (broker) => {
  test("runs the same consumer over the broker", () => {
    project.write("service.ts", SERVICE);
    expect(project.compile()).toMatchObject({ status: 0 });
    const env = { BUS_URL: broker.url, UNIQUE_NAME: `package-test-${process.pid}-${Date.now()}` };
    expect(project.run("out/service.js", { env })).toMatchObject({ status: 0, stdout: "shipped 42\n" });
  });
});

describe("loading", () => {
  /** Runs code and gives the modules that were loaded meanwhile, as paths below node_modules. */
  function loadedBy(code: string): string[] {
    // The hooks live in a thread of their own; a file is the simplest way to hear from them.
    const hooks = `import { appendFileSync } from "node:fs"; export const load = (url, context, next) => { appendFileSync("loaded.txt", url + "\\n"); return next(url, context); };`;
    project.write("hooks.mjs", hooks);
    project.write("record.mjs", 'import { register } from "node:module"; register("./hooks.mjs", import.meta.url);');
    project.write("loaded.txt", "");
    project.write("load.mjs", code);
    expect(project.run("load.mjs", { nodeOptions: ["--import", "./record.mjs"] })).toMatchObject({ status: 0, stderr: "" });
    const urls = readFileSync(join(project.folder, "loaded.txt"), "utf8").split("\n");
    return urls.filter((url) => url.includes("/node_modules/")).map((url) => url.replace(/^.*\/node_modules\//, ""));
  }
  const ofTheCore = /^(trolleybus\/dist\/src\/|ulid\/)/;
  const closing = "await bus.start().catch(() => {}); await bus.stop({ deadline: 1000 }).catch(() => {});";

  test("the core loads itself and ulid: no adapter and no client of a broker", () => {
    const loaded = loadedBy('import { createBus } from "trolleybus"; createBus({ service: "shipping", transport: "amqp://127.0.0.1:1" });');
    expect(loaded).toContain("trolleybus/dist/src/index.js");
    expect(loaded.filter((module) => !ofTheCore.test(module))).toEqual([]);
  });

  test("a bus loads the adapter that it uses when it starts, and no other", () => {
    const loaded = loadedBy(
      `import { createBus } from "trolleybus"; const bus = createBus({ service: "shipping", transport: "memory:" }); ${closing}`,
    );
    expect(loaded).toContain("trolleybus/dist/transports/memory/index.js");
    expect(loaded.filter((module) => !ofTheCore.test(module) && !module.startsWith("trolleybus/dist/transports/memory/"))).toEqual([]);
  });

  test("importing an adapter does not load its client", () => {
    const loaded = loadedBy('import { rabbitmq } from "trolleybus/rabbitmq"; rabbitmq({ url: "amqp://127.0.0.1:1" });');
    expect(loaded).toContain("trolleybus/dist/transports/rabbitmq/index.js");
    expect(loaded.filter((module) => module.startsWith("amqplib/"))).toEqual([]);
  });

  test("the core is imported quickly", () => {
    project.write("import.mjs", 'const start = performance.now(); await import("trolleybus"); console.log(performance.now() - start);');
    const times = Array.from({ length: 11 }, () => Number(project.run("import.mjs").stdout)).sort((a, b) => a - b);
    const [best = Number.NaN] = times;
    process.stdout.write(
      `import of the core: best ${best.toFixed(1)} ms, median ${times[5]?.toFixed(1)} ms of ${times.length} processes (the goal is 30 ms)\n`,
    );
    // Far above the goal, for machines that do other work at the same time; what it catches is a heavy module in the core.
    expect(best).toBeLessThan(150);
  });
});
