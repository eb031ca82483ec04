import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installedVersion, isOlder } from "../../../src/util/package-version.js";

describe("the installed version", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "trolleybus-version-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function versionIn(manifest: string): Promise<string | undefined> {
    const path = join(folder, "package.json");
    await writeFile(path, manifest);
    return installedVersion("client", () => pathToFileURL(path));
  }

  test("is what the package's manifest says", async () => {
    expect(await versionIn('{ "name": "client", "version": "2.3.1" }')).toBe("2.3.1");
  });

  test.each(['{ "name": "the-bundle", "version": "1.0.0" }', '{ "name": "client" }', "[]", "null", "not JSON"])(
    "is not known where another manifest, or none, is found: %s",
    async (manifest) => {
      expect(await versionIn(manifest)).toBeUndefined();
    },
  );

  test("is not known where nothing can be resolved, or read", async () => {
    expect(await installedVersion("client", () => new URL("./nothing.json", pathToFileURL(`${folder}/`)))).toBeUndefined();
    const unresolved = (): never => {
      throw new Error("import.meta.resolve is not a function");
    };
    expect(await installedVersion("client", unresolved)).toBeUndefined();
  });
});

test.each([
  ["2.3.0", "2.3.1", true],
  ["2.3.1", "2.3.1", false],
  ["2.10.0", "2.9.9", false],
  ["1.99.99", "2.0.0", true],
  ["2.3", "2.3.1", true],
  ["2.3.1-beta.1", "2.3.1", false],
  ["3.13.7+3.gabc", "3.10.0", false],
  ["nonsense", "0.0.1", true],
])("version %s is older than %s: %s", (a, b, older) => {
  expect(isOlder(a, b)).toBe(older);
});
