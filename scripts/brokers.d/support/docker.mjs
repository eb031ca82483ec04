import { join } from "node:path";
import { projectRoot } from "./paths.mjs";
import { run, runVisibly } from "./run.mjs";

const composeFile = ["compose", "-f", join(projectRoot, "compose.yaml")];

/** @returns {Promise<boolean>} whether a Docker engine answers and Compose is there; the client alone is not enough */
export async function dockerAnswers() {
  try {
    await run("docker", ["compose", "version"], { timeoutMs: 10_000 });
    return (await run("docker", ["info", "--format", "{{.ServerVersion}}"], { timeoutMs: 10_000 })).trim() !== "";
  } catch {
    return false;
  }
}

/**
 * @param {string} service a service of `compose.yaml`
 * @param {Record<string, string>} variables what the file takes from the environment
 * @returns {Promise<void>}
 */
export function composeUp(service, variables) {
  return runVisibly("docker", [...composeFile, "up", "--detach", "--wait", service], { env: { ...process.env, ...variables } });
}

/**
 * @param {string} service
 * @returns {Promise<void>}
 */
export function composeDown(service) {
  return runVisibly("docker", [...composeFile, "rm", "--stop", "--force", "--volumes", service]);
}
