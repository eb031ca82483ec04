import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The libraries that ours is compared with. They are installed when they are asked for, into build/, and are no dependency of the project. */
const VERSIONS: Readonly<Record<string, string>> = { rascal: "21.0.1", "amqp-connection-manager": "5.0.0" };
/** The client that they work over, the same as ours. */
const AMQPLIB = "amqplib@2.3.1";
const folder = fileURLToPath(new URL("../../peers/", import.meta.url));

/** Installs what a client needs, if it is not there. Called by the runner, once, so that the services find it. */
export function installPeer(client: string): void {
  const version = VERSIONS[client];
  if (version === undefined || existsSync(join(folder, "node_modules", client))) return;
  mkdirSync(folder, { recursive: true });
  // npm would otherwise install into the nearest package above: this project.
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--legacy-peer-deps", `${client}@${version}`, AMQPLIB], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** What such a package exports. */
export function loadPeer<T>(client: string): T {
  return createRequire(join(folder, "package.json"))(client) as T;
}

/** For the head of the report. */
export function peerVersion(client: string): string | undefined {
  return VERSIONS[client];
}
