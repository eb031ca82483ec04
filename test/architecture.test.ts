import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  filesBelow,
  type Import,
  importCycles,
  importedFile,
  importedPackage,
  projectRoot,
  type SourceFile,
  sourceFiles,
} from "./support/source-tree.js";

const MAX_LINES = 300;

/** Files that may be longer, each with the reason. */
const LONGER: Readonly<Record<string, string>> = {
  "test/support/tcp-proxy.ts": "all eight behaviours act on the two directions of one connection and share their state",
};

/** The only packages that the core may import beside Node's own modules. */
const CORE_PACKAGES = ["ulid"];

/** The client that each adapter may import, and nothing else. */
const CLIENTS: Readonly<Record<string, readonly string[]>> = {
  memory: [],
  rabbitmq: ["amqplib"],
  kafka: ["kafkajs"],
  "azure-service-bus": ["@azure/service-bus"],
};

/** The files that every adapter has, so that who knows one finds the way in all. */
const ADAPTER_FILES = ["connection.ts", "index.ts", "mapping.ts", "options.ts", "receiver.ts", "sender.ts", "topology.ts"];

const shipped = sourceFiles("src", "transports", "stores", "testing");
const emulator = sourceFiles("packages/service-bus-emulator/src");
const paths = new Set(shipped.map(({ path }) => path));
const adapters = [...new Set([...paths].filter((path) => path.startsWith("transports/")).map((path) => path.split("/")[1] ?? ""))];

const manifest = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
  exports: Record<string, string | { types: string; default: string }>;
};

/** The imports of these files that the rule does not allow, as sentences. */
function violations(
  files: readonly SourceFile[],
  allowed: (each: Import, target: string | undefined, file: SourceFile) => boolean,
): string[] {
  return files.flatMap((file) =>
    file.imports
      .filter((each) => !allowed(each, importedFile(file.path, each), file))
      .map(({ specifier }) => `${file.path} imports ${specifier}`),
  );
}

const inFolder = (folder: string): SourceFile[] => shipped.filter(({ path }) => path.startsWith(`${folder}/`));
const isNodeModule = (each: Import): boolean => each.specifier.startsWith("node:");

describe("imports", () => {
  test("src/contracts imports nothing but itself", () => {
    expect(violations(inFolder("src/contracts"), (_, target) => target?.startsWith("src/contracts/") === true)).toEqual([]);
  });

  test("src/errors imports nothing but the contracts", () => {
    const errors = shipped.filter(({ path }) => path === "src/errors.ts");
    expect(violations(errors, (_, target) => target?.startsWith("src/contracts/") === true)).toEqual([]);
  });

  test("src/util imports the contracts, the errors and itself, so that adapters can use it without the bus", () => {
    const allowed = (each: Import, target?: string) =>
      target === undefined
        ? isNodeModule(each) || CORE_PACKAGES.includes(each.specifier)
        : /^src\/(contracts|util)\/|^src\/errors\.ts$/.test(target);
    expect(violations(inFolder("src/util"), allowed)).toEqual([]);
  });

  test("src imports itself, Node and ulid: no adapter, no store, no test, no broker's client", () => {
    const core = inFolder("src").filter(({ path }) => path !== "src/transport-loader.ts");
    const allowed = (each: Import, target?: string) =>
      target === undefined ? isNodeModule(each) || CORE_PACKAGES.includes(each.specifier) : target.startsWith("src/");
    expect(violations(core, allowed)).toEqual([]);
  });

  test("src/transport-loader.ts names adapters by the package's own name, and loads them when they are needed", () => {
    const loader = shipped.filter(({ path }) => path === "src/transport-loader.ts");
    expect(loader).toHaveLength(1);
    const allowed = (each: Import, target?: string) =>
      target === undefined ? isNodeModule(each) || (each.dynamic && each.specifier.startsWith("trolleybus/")) : target.startsWith("src/");
    expect(violations(loader, allowed)).toEqual([]);
    const loaded = loader.flatMap(({ imports }) => imports.filter(({ dynamic }) => dynamic).map(({ specifier }) => specifier));
    expect(loaded.sort()).toEqual(adapters.map((name) => `trolleybus/${name}`).sort());
  });

  test.each(adapters)("transports/%s imports itself, the contracts, the errors, the utilities and its own client", (name) => {
    const allowed = (each: Import, target?: string) => {
      if (target !== undefined)
        return target.startsWith(`transports/${name}/`) || /^src\/(contracts|util)\/|^src\/errors\.ts$/.test(target);
      return isNodeModule(each) || CLIENTS[name]?.includes(importedPackage(each) ?? "") === true;
    };
    expect(violations(inFolder(`transports/${name}`), allowed)).toEqual([]);
  });

  test.each(adapters)("transports/%s loads its client when it opens, and not when it is imported", (name) => {
    const atImport = (each: Import) => !each.typeOnly && !each.dynamic && CLIENTS[name]?.includes(importedPackage(each) ?? "") === true;
    expect(violations(inFolder(`transports/${name}`), (each) => !atImport(each))).toEqual([]);
  });

  test("the conformance suite needs the public API, the utilities and Node alone: no test runner, no adapter, no inside of the core", () => {
    const allowed = (each: Import, target?: string) =>
      target === undefined ? isNodeModule(each) : /^testing\/|^src\/util\/|^src\/index\.ts$/.test(target);
    expect(violations(inFolder("testing"), allowed)).toEqual([]);
  });

  test("relative imports name an existing file with .js at its end", () => {
    const allowed = (each: Import, target?: string) => target === undefined || (each.specifier.endsWith(".js") && paths.has(target));
    expect(violations(shipped, allowed)).toEqual([]);
  });

  test("no files import each other in a circle, not even for their types", () => {
    expect(importCycles([...shipped, ...emulator])).toEqual([]);
  });
});

describe("files", () => {
  test(`none but tests, which are tables of cases, is longer than ${MAX_LINES} lines without a reason`, () => {
    const long = sourceFiles("src", "transports", "stores", "testing", "examples", "bench", "test", "packages").filter(
      ({ path, lines }) => lines > MAX_LINES && !path.endsWith(".test.ts"),
    );
    expect(long.filter(({ path }) => !(path in LONGER)).map(({ path, lines }) => `${path} has ${lines} lines`)).toEqual([]);
    expect(Object.keys(LONGER).filter((path) => !long.some((file) => file.path === path))).toEqual([]);
  });

  test("shipped code has no any, no non-null assertion, no console and no comment that silences a tool", () => {
    expect([...shipped, ...emulator].flatMap(({ shortcuts }) => shortcuts)).toEqual([]);
  });

  test.each(adapters)("transports/%s mirrors the other adapters", (name) => {
    expect(ADAPTER_FILES.filter((file) => !paths.has(`transports/${name}/${file}`))).toEqual([]);
  });

  test("each test under test/unit stands at the path of what it tests", () => {
    const orphans = filesBelow("test/unit").filter(
      (path) => path.endsWith(".test.ts") && !paths.has(path.replace(/^test\/unit\//, "src/").replace(/\.test\.ts$/, ".ts")),
    );
    expect(orphans).toEqual([]);
  });
});

describe("package.json", () => {
  test("the core depends on ulid alone", () => {
    expect(Object.keys(manifest.dependencies)).toEqual(CORE_PACKAGES);
  });

  test("every client of an adapter is an optional peer, and there are no other peers", () => {
    const clients = Object.values(CLIENTS).flat().sort();
    expect(Object.keys(manifest.peerDependencies).sort()).toEqual(clients);
    expect(clients.filter((client) => manifest.peerDependenciesMeta[client]?.optional !== true)).toEqual([]);
  });

  test("every adapter is exported under its name, and every export has its source", () => {
    expect(adapters.filter((name) => !(`./${name}` in manifest.exports))).toEqual([]);
    for (const [subpath, target] of Object.entries(manifest.exports)) {
      if (typeof target === "string") expect(target, subpath).toBe("./package.json");
      else {
        const source = target.default.replace(/^\.\/dist\//, "").replace(/\.js$/, ".ts");
        expect(paths.has(source), `${subpath} is built from ${source}`).toBe(true);
        expect(target.types, subpath).toBe(target.default.replace(/\.js$/, ".d.ts"));
      }
    }
  });

  test("the clients of the list above are those of existing adapters", () => {
    expect(Object.keys(CLIENTS).sort()).toEqual([...adapters].sort());
  });
});
