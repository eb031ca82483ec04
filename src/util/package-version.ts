import { readFile } from "node:fs/promises";

/**
 * The version of the package `name`, from its own manifest. `undefined` where it has no folder of its own, as in a bundle: whoever bundled it
 * chose the version.
 * @param manifest where its package.json is; may throw, where nothing can be resolved
 */
export async function installedVersion(name: string, manifest: () => URL): Promise<string | undefined> {
  try {
    const read: unknown = JSON.parse(await readFile(manifest(), "utf8"));
    if (typeof read !== "object" || read === null || !("name" in read) || read.name !== name) return undefined;
    return "version" in read && typeof read.version === "string" ? read.version : undefined;
  } catch {
    return undefined;
  }
}

/** Whether version `a` comes before `b`; pre-releases count as their release. */
export function isOlder(a: string, b: string): boolean {
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numbersOf(version: string): number[] {
  return (/^\d+(?:\.\d+){0,2}/.exec(version)?.[0] ?? "0").split(".").map(Number);
}
