import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { projectRoot } from "../../support/source-tree.js";
import type { MortalConsumerOptions } from "./options.js";

/** Compiles the consumer, with the sources as they are. */
export function compileMortalConsumer(): void {
  const compiler = join(projectRoot, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", join(projectRoot, "test/azure-service-bus/mortal-consumer")], { stdio: "inherit" });
}

/** Starts the consumer in a process of its own, and again whenever it has died, until `isDone` with what was passed; then it is killed. */
export async function keepAlive(
  options: MortalConsumerOptions,
  isDone: (passed: readonly string[]) => Promise<boolean>,
  mostDeaths: number,
): Promise<{ deaths: number }> {
  const program = join(projectRoot, "build/mortal-consumer/test/azure-service-bus/mortal-consumer/main.js");
  const passed: string[] = [];
  for (let deaths = 0; ; deaths++) {
    const child = fork(program, [JSON.stringify(options)]);
    child.on("message", (name) => passed.push(String(name)));
    const closed = once(child, "close");
    const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
    try {
      while (isAlive()) {
        if (await isDone(passed)) return { deaths };
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      child.kill("SIGKILL");
      await closed;
    }
    if (child.signalCode !== "SIGKILL") throw new Error(`the consumer ended with exit code ${child.exitCode}`);
    if (deaths > mostDeaths) throw new Error(`${deaths} consumers have died, and there is no end to it`);
  }
}
