import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The version of an installed package, also of one that does not export its package.json. */
export function versionOfPackage(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const found = read(join(folder, "package.json"));
    if (found?.name === name) return found.version;
  }
  throw new Error(`no package.json of ${name} above ${entry}`);
}

function read(file: string): { readonly name?: string; readonly version: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
