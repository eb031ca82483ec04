import { existsSync } from "node:fs";
import { runVisibly } from "./run.mjs";

/** @returns {boolean} whether packages can be installed here: root on Debian or one of its derivatives */
export function canInstallPackages() {
  return existsSync("/etc/debian_version") && existsSync("/usr/bin/apt-get") && process.getuid?.() === 0;
}

/**
 * Installs Debian packages, without starting the services that they bring.
 * @param {readonly string[]} packages
 * @returns {Promise<void>}
 */
export async function installPackages(packages) {
  // RUNLEVEL=1 makes invoke-rc.d leave services alone: the servers run from here, with ports and data of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  await runVisibly("apt-get", ["update", "-qq"], { env });
  await runVisibly("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { env });
}
