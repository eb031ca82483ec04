import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { projectRoot } from "../../support/source-tree.js";
import type { MortalServiceOptions } from "./options.js";

/** Compiles the service, with the sources as they are. */
export function compileMortalService(): void {
  const compiler = join(projectRoot, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", join(projectRoot, "test/kafka/mortal-service")], { stdio: "inherit" });
}

/** A service in a process of its own, which can be killed in the middle of its handlers as nothing in this process can. */
export class MortalService {
  /** The numbers of the messages whose handlers have begun, in that order. */
  readonly begun: number[] = [];
  readonly #child: ChildProcess;
  readonly #started: Promise<void>;

  constructor(options: MortalServiceOptions) {
    const program = join(projectRoot, "build/mortal-service/test/kafka/mortal-service/main.js");
    this.#child = fork(program, [JSON.stringify(options)]);
    this.#started = new Promise((resolve, reject) => {
      this.#child.once("exit", (code) => reject(new Error(`the service ended with exit code ${code}`)));
      this.#child.on("message", (told) => {
        if (told === "started") resolve();
        else this.begun.push(told as number);
      });
    });
    // Whoever kills it does not wait for it any more.
    this.#started.catch(() => {});
  }

  /** It receives. */
  started(): Promise<void> {
    return this.#started;
  }

  /** SIGKILL: nothing is committed, and nobody is told. What it had said by then has been heard. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await closed;
  }
}
