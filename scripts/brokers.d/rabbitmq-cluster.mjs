import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answersAmqp } from "./support/amqp-probe.mjs";
import { Broker } from "./support/broker.mjs";
import { canInstallPackages, installPackages } from "./support/debian.mjs";
import { BrokerUnavailable } from "./support/errors.mjs";
import { brokerDirectory, portFrom } from "./support/paths.mjs";
import { nodeName, RabbitmqNode } from "./support/rabbitmq-node.mjs";
import { localPrograms } from "./support/rabbitmq-programs.mjs";
import { portsFor } from "./support/rabbitmq-server.mjs";
import { waitUntil } from "./support/wait-until.mjs";

const NAME = "rabbitmq-cluster";
const SIZE = 3;
const NEEDS = 'the package "rabbitmq-server" (installed by itself when root on Debian)';

const firstPort = () => portFrom("TROLLEYBUS_RABBITMQ_CLUSTER_PORT", 5681);

/** Three RabbitMQ nodes on one machine that form a cluster, each to be killed, frozen and cut off by itself. */
export class RabbitmqCluster {
  #directory;

  /** @param {{ name: string, firstPort: number, programs: import("./support/rabbitmq-node.mjs").RabbitmqPrograms }} options */
  constructor({ name, firstPort, programs }) {
    this.#directory = brokerDirectory(name);
    const names = Array.from({ length: SIZE }, (_, index) => `${name}-${index + 1}`);
    const cluster = { nodes: names.map(nodeName), cookie: this.#cookie() };
    const epmd = portsFor(firstPort).epmd; // nodes of one cluster find each other through one port mapper
    this.nodes = names.map(
      (each, index) =>
        new RabbitmqNode({
          name: each,
          directory: join(this.#directory, each),
          programs,
          cluster,
          ports: { ...portsFor(firstPort + index), epmd },
        }),
    );
    this.amqpUrls = this.nodes.map((node) => node.amqpUrl);
  }

  /** Starts the nodes that do not run, and waits until all of them see each other. */
  async start() {
    // Together: a node that was not the last to stop waits for the others before it takes clients.
    await Promise.all(this.nodes.map((node) => node.launch()));
    await Promise.all(this.nodes.map((node) => node.ready()));
    await this.whole();
  }

  /** Waits until every node sees all nodes running. */
  async whole() {
    const seesAll = async (/** @type {RabbitmqNode} */ node) =>
      (await node.management.listNodes()).filter((each) => each.running).length === SIZE;
    await waitUntil("the three nodes to see each other", async () => (await Promise.all(this.nodes.map(seesAll))).every(Boolean), {
      deadlineMs: 60_000,
    });
  }

  /** Stops all nodes and their port mapper. */
  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await Promise.all(this.nodes.map((node) => node.stopHelpers()));
  }

  /**
   * @param {string} queue the name of a quorum queue
   * @returns {Promise<RabbitmqNode>} the node that leads it now
   */
  async leaderOf(queue) {
    return await waitUntil(`a leader of ${queue}`, () => this.#leaderSeenByAnyNode(queue), { deadlineMs: 30_000 });
  }

  /**
   * Cuts one node off from the other two, which stay connected: as the minority it pauses until `rejoin`.
   * @param {RabbitmqNode} node
   */
  async cutOff(node) {
    const others = this.nodes.filter((each) => each !== node).map((each) => `'${each.nodeName}'`);
    // With a cookie that the others do not know, every attempt to connect is refused, whichever side makes it.
    await node.ctl("eval", `[begin erlang:set_cookie(N, 'cut_off'), erlang:disconnect_node(N) end || N <- [${others.join(", ")}]], ok.`);
  }

  /**
   * Undoes `cutOff`, and waits until the cluster is whole.
   * @param {RabbitmqNode} node
   */
  async rejoin(node) {
    const others = this.nodes.filter((each) => each !== node).map((each) => `'${each.nodeName}'`);
    await node.ctl(
      "eval",
      `[erlang:set_cookie(N, erlang:get_cookie()) || N <- [${others.join(", ")}]], [net_adm:ping(N) || N <- [${others.join(", ")}]], ok.`,
    );
    await node.ready();
    await this.whole();
  }

  deleteData() {
    for (const node of this.nodes) node.deleteData();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** @param {string} queue */
  async #leaderSeenByAnyNode(queue) {
    for (const node of this.nodes.filter((each) => each.pid !== undefined)) {
      // A node that is cut off or still starting has no management API; the next one may know.
      const seen = await node.management.queue(queue).catch(() => undefined);
      const found = this.nodes.find((each) => each.nodeName === seen?.leader && each.pid !== undefined);
      if (found) return found;
    }
    return undefined;
  }

  #cookie() {
    const file = join(this.#directory, "cookie");
    if (!existsSync(file)) writeFileSync(file, randomBytes(15).toString("hex"), { mode: 0o600 });
    return readFileSync(file, "utf8");
  }
}

/**
 * Three nodes of this machine's RabbitMQ package.
 * @param {{ name?: string, firstPort?: number }} [instance] a name and ports of its own make a cluster beside the one that everybody uses
 * @returns {RabbitmqCluster}
 */
export function rabbitmqClusterControl({ name = NAME, firstPort: port = firstPort() } = {}) {
  const programs = localPrograms();
  if (programs === undefined) throw new BrokerUnavailable(`RabbitMQ is not installed: it needs ${NEEDS}`);
  return new RabbitmqCluster({ name, firstPort: port, programs });
}

export const rabbitmqCluster = new Broker({
  name: NAME,
  title: "RabbitMQ cluster of three",
  variable: "RABBITMQ_CLUSTER_URLS",
  url: () => Array.from({ length: SIZE }, (_, index) => `amqp://guest:guest@127.0.0.1:${firstPort() + index}`).join(","),
  answers: answersAmqp,
  managementUrl: () => `http://guest:guest@127.0.0.1:${portsFor(firstPort()).management}`,
  installed: () => localPrograms() !== undefined,
  canInstall: canInstallPackages,
  install: () => installPackages(["rabbitmq-server"]),
  needs: NEEDS,
  server() {
    const cluster = rabbitmqClusterControl();
    return {
      running: () => cluster.nodes.some((node) => node.pid !== undefined),
      start: () => cluster.start(),
      stop: () => cluster.stop(),
      deleteData: () => cluster.deleteData(),
    };
  },
});
