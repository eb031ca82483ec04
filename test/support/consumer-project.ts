import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "./source-tree.js";

/** What a child process said. */
export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The package as `npm pack` makes it. */
export interface PackedPackage {
  readonly tarball: string;
  /** Paths inside the package. */
  readonly files: readonly string[];
  readonly unpackedSize: number;
}

/** Builds and packs this package into a folder. */
export function packPackage(folder: string): PackedPackage {
  npm(projectRoot, "run", "build");
  const [packed] = JSON.parse(npm(projectRoot, "pack", "--ignore-scripts", "--json", "--pack-destination", folder)) as {
    filename: string;
    unpackedSize: number;
    files: { path: string }[];
  }[];
  if (!packed) throw new Error("npm pack made no package");
  return { tarball: join(folder, packed.filename), files: packed.files.map(({ path }) => path), unpackedSize: packed.unpackedSize };
}

/** An empty project somewhere else on the disk, in which packages are installed as a user of the bus would. */
export class ConsumerProject {
  readonly folder: string = mkdtempSync(join(tmpdir(), "trolleybus-consumer-"));

  constructor(...packages: readonly string[]) {
    this.write("package.json", JSON.stringify({ name: "consumer", version: "1.0.0", private: true, type: "module" }));
    npm(this.folder, "install", "--no-audit", "--no-fund", "--prefer-offline", ...packages);
  }

  /** The packages in its node_modules, sorted. */
  installed(): string[] {
    const { packages } = JSON.parse(readFileSync(join(this.folder, "package-lock.json"), "utf8")) as { packages: Record<string, unknown> };
    return Object.keys(packages)
      .filter((path) => path !== "")
      .map((path) => path.replace("node_modules/", ""))
      .sort();
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** Compiles its TypeScript files with every strict flag, declarations of packages included; gives what the compiler says. */
  compile(): Output {
    const compilerOptions = {
      target: "ES2022",
      module: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      verbatimModuleSyntax: true,
      skipLibCheck: false,
      outDir: "out",
      rootDir: ".",
    };
    this.write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    return this.#run([join(projectRoot, "node_modules/typescript/bin/tsc"), "-p", ".", "--pretty", "false"]);
  }

  /** Runs a JavaScript file of the project with Node. */
  run(file: string, { nodeOptions = [], env = {} }: { nodeOptions?: readonly string[]; env?: Record<string, string> } = {}): Output {
    return this.#run([...nodeOptions, file], env);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #run(args: readonly string[], env: Record<string, string> = {}): Output {
    const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
      cwd: this.folder,
      encoding: "utf8",
      timeout: 60_000,
      env: { PATH: process.env["PATH"] ?? "", ...env },
    });
    if (error) throw error;
    return { status, stdout, stderr };
  }
}

function npm(cwd: string, ...args: readonly string[]): string {
  // Variables of the npm that runs the tests would steer the npm that is started here.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|command|execpath)/.test(name)));
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd, env, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} ended with exit code ${status}\n${stdout}${stderr}`);
  return stdout;
}
