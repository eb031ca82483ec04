import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { waitUntil } from "./wait-until.mjs";

/** Every process started here carries this variable with the folder of its broker: the proof, before a signal is sent, that a pid is still ours. */
const MARK = "TROLLEYBUS_BROKER";
const hasProc = existsSync("/proc/self/environ");

/**
 * Starts a process that outlives this one, and writes its pid file.
 * @param {{ command: string, args: readonly string[], env: Record<string, string>, mark: string, pidFile: string, output: string }} options
 * @returns {number} the pid
 */
export function spawnDetached({ command, args, env, mark, pidFile, output }) {
  const log = openSync(output, "a");
  try {
    const child = spawn(command, args, { detached: true, stdio: ["ignore", log, log], env: { ...env, [MARK]: mark } });
    child.once("error", () => {}); // a missing program shows as a missing pid, here, and as a process that is not alive, to those who wait
    if (child.pid === undefined) throw new Error(`${command} could not be started`);
    child.unref();
    writeFileSync(pidFile, `${child.pid}\n`);
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/**
 * The pid in a pid file, if that process is alive and was started for this mark.
 * @param {string} pidFile
 * @param {string} mark
 * @returns {number | undefined}
 */
export function ownPid(pidFile, mark) {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, "utf8").trim());
  return Number.isInteger(pid) && pid > 1 && isOurs(pid, mark) ? pid : undefined;
}

/**
 * Whether a pid is alive and belongs to a process that was started here for `mark`; a pid can have been given to a stranger meanwhile.
 * @param {number} pid
 * @param {string} mark
 * @returns {boolean}
 */
export function isOurs(pid, mark) {
  if (hasProc) {
    try {
      // A zombie has an empty environment, so one that nobody reaped counts as gone.
      return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`${MARK}=${mark}`);
    } catch {
      return false;
    }
  }
  try {
    return execFileSync("ps", ["-E", "-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" }).includes(`${MARK}=${mark}`);
  } catch {
    return false;
  }
}

/**
 * All live processes that were started for this mark, with the daemons that they started themselves (epmd).
 * @param {string} mark
 * @returns {number[]}
 */
export function ownProcesses(mark) {
  if (!hasProc) return [];
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 1 && pid !== process.pid && isOurs(pid, mark));
}

/**
 * Ends a process of ours: politely, then with SIGKILL.
 * @param {{ pid: number, mark: string, politeMs: number }} options `politeMs: 0` kills at once
 * @returns {Promise<void>}
 */
export async function endProcess({ pid, mark, politeMs }) {
  if (!isOurs(pid, mark)) return;
  if (politeMs > 0) {
    signal(pid, "SIGTERM");
    signal(pid, "SIGCONT"); // a frozen process would never see the SIGTERM
    try {
      await waitUntil(`process ${pid} to end`, () => !isOurs(pid, mark), { deadlineMs: politeMs, everyMs: 50 });
      return;
    } catch {
      // It had its time; what follows cannot be refused.
    }
  }
  signal(pid, "SIGKILL");
  await waitUntil(`process ${pid} to die`, () => !isOurs(pid, mark), { deadlineMs: 10_000, everyMs: 20 });
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} name
 */
export function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ESRCH") throw error;
  }
}

/**
 * Runs `work` while no other process does under the same lock file. A lock whose holder has died is taken over.
 * @template T
 * @param {string} lockFile
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(lockFile, work) {
  await waitUntil(`the lock ${lockFile}`, () => tryLock(lockFile), { deadlineMs: 15 * 60_000 });
  try {
    return await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** @param {string} lockFile */
function tryLock(lockFile) {
  try {
    writeFileSync(lockFile, `${process.pid}\n`, { flag: "wx" });
    return true;
  } catch {
    const holder = Number(readFileSync(lockFile, "utf8").trim());
    if (holder > 0 && !isAlive(holder)) rmSync(lockFile, { force: true });
    return false;
  }
}

/** @param {number} pid */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}
