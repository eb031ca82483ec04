import { ENDPOINTS } from "../messages.js";
import { versionOfPackage } from "../package-version.js";
import { clusterFaults } from "./rabbitmq-cluster-faults.js";
import { brokerScripts, type RabbitmqNode } from "./rabbitmq-control.js";
import { rabbitmqFaults } from "./rabbitmq-faults.js";
import type { BrokerUnderTest, FaultTransport, QueueState } from "./transport.js";

/** A server of the suite's own, beside those of the other tests. Two runs at a time need ports of their own. */
const FIRST_PORT = Number(process.env["TROLLEYBUS_FAULTS_PORT"] ?? 5_710);
const PORTS = { rabbitmq: FIRST_PORT, "rabbitmq-4": FIRST_PORT + 10, "rabbitmq-cluster": FIRST_PORT + 20 } as const;
/** The services connect as this user, so that its password can be changed under them. */
export const USER = "faults";
export const PASSWORD = "faults-password";
/** Short, so that a frozen broker is noticed within a test's patience. */
const HEARTBEAT_SECONDS = 4;
/** Statistics of the broker are made anew every 5 s. */
const DEPTHS_AGE_MS = 6_000;

/** Everything a fault of RabbitMQ may use. */
export interface RabbitmqUnderFault {
  /** One, or three that form a cluster. */
  readonly nodes: readonly RabbitmqNode[];
  /** One that answers now. */
  anyNode(): RabbitmqNode;
  setPassword(password: string): Promise<void>;
}

export const rabbitmq: FaultTransport = {
  name: "rabbitmq",
  brokers: Object.keys(PORTS),
  async start(broker) {
    if (broker === "rabbitmq-cluster") return await startCluster();
    const scripts = await brokerScripts();
    const isFour = broker === "rabbitmq-4";
    await (isFour ? scripts.rabbitmq4 : scripts.rabbitmq).install();
    const control = isFour ? scripts.rabbitmq4Control : scripts.rabbitmqControl;
    const node = control(instance(broker as keyof typeof PORTS));
    await node.stop();
    node.deleteData();
    await node.start();
    const server = new RabbitmqServer([node]);
    return await server.underTest({
      kinds: rabbitmqFaults(server),
      mend: async () => {
        node.thaw();
        await node.start();
      },
      close: async () => {
        node.thaw();
        await node.stop();
        await node.stopHelpers();
        node.deleteData();
      },
    });
  },
};

/** Named after its port: what belongs to one run is never another's. */
function instance(broker: keyof typeof PORTS): { readonly name: string; readonly amqpPort: number } {
  return { name: `faults-${PORTS[broker]}`, amqpPort: PORTS[broker] };
}

async function startCluster(): Promise<BrokerUnderTest> {
  const scripts = await brokerScripts();
  await scripts.rabbitmqCluster.install();
  const cluster = scripts.rabbitmqClusterControl({ name: `faults-${PORTS["rabbitmq-cluster"]}`, firstPort: PORTS["rabbitmq-cluster"] });
  await cluster.stop();
  cluster.deleteData();
  await cluster.start();
  const server = new RabbitmqServer(cluster.nodes);
  const thawAll = (): void => {
    for (const node of cluster.nodes) if (node.pid !== undefined) node.thaw();
  };
  return await server.underTest({
    kinds: clusterFaults(server, cluster),
    mend: async () => {
      thawAll();
      await cluster.start();
    },
    close: async () => {
      thawAll();
      await cluster.stop();
      cluster.deleteData();
    },
  });
}

class RabbitmqServer implements RabbitmqUnderFault {
  readonly nodes: readonly RabbitmqNode[];

  constructor(nodes: readonly RabbitmqNode[]) {
    this.nodes = nodes;
  }

  anyNode(): RabbitmqNode {
    const node = this.nodes.find((each) => each.pid !== undefined);
    if (!node) throw new Error("no node of the broker runs");
    return node;
  }

  async setPassword(password: string): Promise<void> {
    await this.anyNode().management.call("PUT", `/users/${USER}`, { body: { password, tags: "" } });
  }

  async underTest(own: Pick<BrokerUnderTest, "kinds" | "mend" | "close">): Promise<BrokerUnderTest> {
    await this.setPassword(PASSWORD);
    await this.#permit();
    return {
      description: await this.#describe(),
      addresses: () => this.nodes.map((node) => ({ name: node.name, port: portOf(node) })),
      transportThrough,
      direct: transportThrough(this.nodes.map(portOf)),
      rebalances: false,
      depths: () => this.#depths(),
      depthsAgeMs: DEPTHS_AGE_MS,
      kinds: own.kinds,
      mend: async () => {
        await own.mend();
        await this.setPassword(PASSWORD);
        await this.#permit();
        await clearAlarms(this.nodes);
      },
      close: own.close,
    };
  }

  async #permit(): Promise<void> {
    const body = { configure: ".*", write: ".*", read: ".*" };
    await this.anyNode().management.call("PUT", `/permissions/%2F/${USER}`, { body });
  }

  async #describe(): Promise<Record<string, string>> {
    const overview = (await this.anyNode().management.call("GET", "/overview")) as {
      readonly rabbitmq_version: string;
      readonly erlang_version: string;
    };
    return {
      broker: `RabbitMQ ${overview.rabbitmq_version}, Erlang ${overview.erlang_version}, ${this.nodes.length} node${this.nodes.length > 1 ? "s" : ""}`,
      client: `amqplib ${versionOfPackage("amqplib")}`,
      durability:
        "quorum queues: a confirm means written and fsynced by the majority; a killed process is tested here, a power failure is not",
      heartbeat: `${HEARTBEAT_SECONDS} s`,
    };
  }

  async #depths(): Promise<readonly QueueState[]> {
    const queues = await this.anyNode().management.listQueues();
    return (
      queues
        // Notes of runs alone are no messages: one whose process died in the wrong moment is dropped by the broker a day later.
        .filter(({ name }) => !name.endsWith(".suspect.runs"))
        .filter(({ name }) => ENDPOINTS.some((endpoint) => name === endpoint || name.startsWith(`${endpoint}.`)))
        .map(({ name, messages }) => ({ queue: name, messages: messages ?? 0, deadLetters: name.endsWith(".dead-letter") }))
    );
  }
}

function portOf(node: RabbitmqNode): number {
  return Number(new URL(node.amqpUrl).port);
}

function transportThrough(ports: readonly number[]): unknown {
  const urls = ports.map((port) => `amqp://${USER}:${PASSWORD}@127.0.0.1:${port}/?heartbeat=${HEARTBEAT_SECONDS}`);
  return { type: "rabbitmq", url: urls.length === 1 ? urls[0] : urls };
}

/** Memory and disk as they were: the alarms of {@link rabbitmqFaults} are over. */
export async function clearAlarms(nodes: readonly RabbitmqNode[]): Promise<void> {
  for (const node of nodes.filter((each) => each.pid !== undefined)) {
    await node.ctl("set_vm_memory_high_watermark", "0.4");
    await node.ctl("set_disk_free_limit", "100MB");
  }
}
