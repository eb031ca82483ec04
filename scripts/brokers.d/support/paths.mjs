import { existsSync, mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the repository; found by its package.json, since a compiled copy of this file lies elsewhere in it. */
export const projectRoot = findUpwards("package.json", dirname(fileURLToPath(import.meta.url)));

/**
 * Where the brokers keep their data, logs and pid files: `.brokers/` in the project, or `TROLLEYBUS_BROKERS_DIR`.
 * @returns {string} an absolute path
 */
export function brokersDirectory() {
  return resolve(process.env["TROLLEYBUS_BROKERS_DIR"] || join(projectRoot, ".brokers"));
}

/**
 * The folder of one broker; made when it is missing.
 * @param {string} name
 * @returns {string} an absolute path
 */
export function brokerDirectory(name) {
  const directory = join(brokersDirectory(), name);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/**
 * A port: the environment variable if it is set, else the default.
 * @param {string} variable
 * @param {number} fallback
 * @returns {number}
 */
export function portFrom(variable, fallback) {
  const text = process.env[variable];
  if (text === undefined || text === "") return fallback;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`${variable} must be a port number from 1 to 65535, not "${text}"`);
  return port;
}

/**
 * @param {string} file
 * @param {string} from
 * @returns {string} the nearest folder that has the file
 */
function findUpwards(file, from) {
  if (existsSync(join(from, file))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`there is no ${file} above ${fileURLToPath(import.meta.url)}`);
  return findUpwards(file, parent);
}
