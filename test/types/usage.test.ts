import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/source-tree.js";

/** What the compiler says to the files of this folder, by the exit code and in words. */
function compile(): Promise<{ readonly exitCode: number; readonly output: string }> {
  const compiler = join(projectRoot, "node_modules/typescript/bin/tsc");
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [compiler, "-p", "test/types", "--listFiles"],
      { cwd: projectRoot, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
      },
    );
  });
}

test("what a service writes compiles, and each misuse of the API is refused by the compiler", { timeout: 120_000 }, async () => {
  const { exitCode, output } = await compile();
  const lines = output.split("\n");
  expect(lines.filter((line) => line.includes(": error TS"))).toEqual([]);
  expect(exitCode).toBe(0);
  // That it looked at these files at all, and at the sources behind them, not at some build.
  for (const file of ["test/types/usage.ts", "test/types/misuse.ts", "src/index.ts"]) expect(lines).toContain(join(projectRoot, file));
  const misuses = readFileSync(join(projectRoot, "test/types/misuse.ts"), "utf8").match(/^ {2}\/\/ @ts-expect-error \S/gm);
  expect(misuses?.length).toBeGreaterThanOrEqual(19);
});
