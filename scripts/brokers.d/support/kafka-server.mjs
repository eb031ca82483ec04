import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brokerDirectory } from "./paths.mjs";

/**
 * @param {import("./kafka-node.mjs").KafkaNode} node
 * @returns {import("./broker.mjs").LocalServer}
 */
export function asServer(node) {
  return {
    running: () => node.pid !== undefined,
    start: () => node.start(),
    stop: () => node.stop(),
    deleteData: () => node.deleteData(),
  };
}

/**
 * The id that all nodes of a cluster are formatted with, made when it is first asked for.
 * @param {string} name the cluster's, or of a single node
 */
export function clusterId(name) {
  const file = join(brokerDirectory(name), "cluster-id");
  // Kafka's tools would take one that begins with a dash for an option.
  if (!existsSync(file)) writeFileSync(file, randomBytes(16).toString("base64url").replace(/^-/, "A"));
  return readFileSync(file, "utf8");
}
