import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { FromChild, ToChild } from "./child-protocol.js";
import type { HostedService, StartHosted } from "./host.js";

const START_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 10_000;

/** Starts a service in a process of its own. What they have in common afterwards is the broker. */
export const startInChildProcess: StartHosted = async (name, settings, onReport) => {
  const child = fork(new URL("./child.js", import.meta.url));
  const say = (message: ToChild): void => void child.send(message);

  const started = new Promise<string>((resolve, reject) => {
    child.on("message", (message: FromChild) => {
      if (message.type === "report") onReport(message.report);
      else if (message.type === "started") resolve(message.url);
      else reject(new Error(`${name} could not start: ${message.text}`));
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`the process of ${name} ended with ${signal ?? `exit code ${code}`}`)));
    const text = `${name} did not start within ${START_WITHIN_MS / 1000} s: can the broker be reached?`;
    setTimeout(() => reject(new Error(text)), START_WITHIN_MS).unref();
  });
  say({ type: "start", name, settings });
  try {
    return { name, url: await started, processId: child.pid ?? 0, stop: () => stop(child, name, say) } satisfies HostedService;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
};

async function stop(child: ChildProcess, name: string, say: (message: ToChild) => void): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
    say({ type: "stop" });
    await ended;
    clearTimeout(timer);
  }
  if (child.exitCode !== 0)
    throw new Error(`${name} (process ${child.pid}) ended with ${child.signalCode ?? `exit code ${child.exitCode}`}`);
}
