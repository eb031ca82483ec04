import { execFile, spawn } from "node:child_process";

/**
 * Runs a program to its end and gives what it wrote to its standard output.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, timeoutMs?: number }} [options]
 * @returns {Promise<string>} rejects with both outputs in the text
 */
export function run(command, args, { env = process.env, timeoutMs = 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(command, [...args], { env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command} ${args.join(" ")} failed: ${error.message}\n${stdout}${stderr}`.trim(), { cause: error }));
      else resolve(stdout);
    });
    child.stdin?.end();
  });
}

/**
 * Runs a program and shows its output while it runs, on standard error so that standard output stays parseable.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<void>}
 */
export function runVisibly(command, args, { env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", 2, 2] });
    child.once("error", (error) => reject(new Error(`${command} could not be started: ${error.message}`, { cause: error })));
    child.once("exit", (code, name) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} ended with ${name ?? `exit code ${code}`}`)),
    );
  });
}
