import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filesBelow, projectRoot } from "./support/source-tree.js";

/** In the project, so that `trolleybus`, Node's types and the validators resolve as they do for the tests; git ignores it. */
const folder = join(projectRoot, "build/readme-test");

const pages = ["README.md", ...filesBelow("docs", "examples").filter((path) => path.endsWith(".md"))];

interface Block {
  readonly page: string;
  readonly line: number;
  readonly code: string;
  readonly file: string;
}

const blocks = pages.flatMap(blocksOf);

/** Every fenced block of TypeScript in a page; outside the README one marked `ts fragment` need not stand alone. */
function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(projectRoot, page), "utf8").split("\n");
  const found: Block[] = [];
  for (let start = 0; start < lines.length; start++) {
    const fence = lines[start] ?? "";
    if (!/^```(ts|typescript)\b/.test(fence) || (fence.endsWith(" fragment") && page !== "README.md")) continue;
    const end = lines.indexOf("```", start);
    if (end === -1) throw new Error(`${page}:${start + 1}: the code block has no end`);
    const file = `${basename(page, ".md").toLowerCase()}-${start + 1}.ts`;
    found.push({ page, line: start + 1, code: lines.slice(start + 1, end).join("\n"), file });
    start = end;
  }
  return found;
}

/** A file with a mistake: if the compiler does not object to it, it did not look. */
const MISTAKE = "mistake.ts";

/** What the compiler says, by file. */
let errors: ReadonlyMap<string, string[]>;

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // A block stands alone, so it is a module even without an import; and an example may declare what it does not use.
  const options = { rootDir: "../..", moduleDetection: "force", noUnusedLocals: false, noUnusedParameters: false };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.json", compilerOptions: options, include: ["."] }),
  );
  for (const { file, code } of blocks) writeFileSync(join(folder, file), code);
  writeFileSync(join(folder, MISTAKE), 'import { createBuss } from "trolleybus";\ncreateBuss();\n');
  errors = byFile(compile());
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function compile(): string {
  try {
    return execFileSync(process.execPath, [join(projectRoot, "node_modules/typescript/bin/tsc"), "-p", folder, "--pretty", "false"], {
      cwd: folder,
      encoding: "utf8",
    });
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout);
  }
}

function byFile(output: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of output.split("\n")) {
    const file = /^(?:.*\/)?([^/(]+)\(\d+,\d+\): error/.exec(line)?.[1];
    if (file) found.set(file, [...(found.get(file) ?? []), line]);
  }
  return found;
}

describe("the code in the documentation compiles", () => {
  test("the README shows code", () => {
    expect(blocks.filter(({ page }) => page === "README.md").length).toBeGreaterThan(1);
  });

  test("a mistake in it would be noticed", () => {
    expect(errors.get(MISTAKE)?.join()).toContain("createBuss");
  });

  test.each(blocks)("$page, line $line", ({ file }) => {
    expect(errors.get(file) ?? []).toEqual([]);
  });
});
