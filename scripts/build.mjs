#!/usr/bin/env node
// Builds dist/ afresh, here and in the package of the emulator; with --examples also examples/ into build/, against dist/ as a user of the package would.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** @param {string} project a tsconfig, relative to the root */
function compile(project) {
  const { status } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

const [option, ...others] = process.argv.slice(2);
if ((option !== undefined && option !== "--examples") || others.length > 0) {
  console.error(`usage: node scripts/build.mjs [--examples], not "${process.argv.slice(2).join(" ")}"`);
  process.exit(2);
}

const emulator = join(root, "packages/service-bus-emulator");
for (const folder of [root, emulator]) rmSync(join(folder, "dist"), { recursive: true, force: true });
compile("tsconfig.build.json");
compile(join(emulator, "tsconfig.json"));
if (option === "--examples") {
  rmSync(join(root, "build"), { recursive: true, force: true });
  compile("examples/tsconfig.json");
}
