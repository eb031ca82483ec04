import { setTimeout as sleep } from "node:timers/promises";
import type { FaultKind } from "../kinds/fault-kind.js";
import { Echo, ENDPOINTS, Step, Task } from "../messages.js";
import { versionOfPackage } from "../package-version.js";
import { churnFaults } from "./kafka-churn.js";
import { clusterFaults } from "./kafka-cluster-faults.js";
import { brokerScripts, type Detour, KafkaAdmin, type KafkaNode, SESSION_TIMEOUT_MS } from "./kafka-control.js";
import { kafkaFaults } from "./kafka-faults.js";
import type { BrokerUnderTest, FaultTransport, QueueState } from "./transport.js";

/** A server of the suite's own, beside those of the other tests. Two runs at a time need ports of their own. */
const FIRST_PORT = Number(process.env["TROLLEYBUS_FAULTS_PORT"] ?? 19_400);
const PORTS = { kafka: FIRST_PORT, "kafka-3": FIRST_PORT + 10, "kafka-cluster": FIRST_PORT + 20 } as const;
/** Kafka tells its clients where its nodes are: so each service has a port of its own at each node, which sends it to its own proxy. */
const FIRST_DETOUR_PORT = FIRST_PORT + 600;
const DETOURS = 50;
const NODES = 3;
/** Twice in the publish timeout of the services, so that a frozen broker leaves time for a second try. */
const REQUEST_TIMEOUT_MS = 4_000;
const LEAST_PARTITIONS = 6;
/**
 * The broker's, at its controller: with the default of 9 s it takes 12 s after a kill until it acknowledges again. On a busy machine a broker with a shorter one was
 * seen to fence itself, time and again, while nothing was wrong: a fault that no schedule knows of, which explains no repeat.
 */
const BROKER_SETTINGS = { "broker.session.timeout.ms": 4_000, "broker.heartbeat.interval.ms": 500 };
/** On three brokers that share two processors a node would lose its session while nothing is wrong. */
const CLUSTER_SETTINGS = { "broker.session.timeout.ms": 3_000, "broker.heartbeat.interval.ms": 500 };
/** An instance that is gone is missed after its session, and the group then waits for the others for two sessions at most. */
const AFTERMATH_MS = 10_000 + 3 * SESSION_TIMEOUT_MS;
/** What is done is committed within this time. */
const DEPTHS_AGE_MS = 3_000;
const IN_SYNC_WITHIN_MS = 60_000;

/** Everything a fault of Kafka may use. */
export interface KafkaUnderFault {
  /** One, or three that form a cluster. */
  readonly nodes: readonly KafkaNode[];
  readonly admin: KafkaAdmin;
  /** The topics of the suite that an endpoint reads, its retry topics included. */
  topicsOf(endpoint: string): Promise<readonly string[]>;
  /** Waits until every partition has all its replicas. */
  inSync(): Promise<void>;
}

/** What each endpoint subscribes; the commands to an endpoint are on a topic of its name. */
const SUBSCRIBED: Readonly<Record<string, readonly string[]>> = {
  "faults-work": [Task.messageType, Step.messageType, "faults-work"],
  "faults-ordered": [Step.messageType],
  "faults-audit": [Echo.messageType],
};

export const kafka: FaultTransport = {
  name: "kafka",
  brokers: Object.keys(PORTS),
  async start(broker, services) {
    if (services > DETOURS) throw new Error(`the suite has ports for ${DETOURS} services, not for ${services}`);
    if (broker === "kafka-cluster") return await startCluster(services);
    const scripts = await brokerScripts();
    const isThree = broker === "kafka-3";
    await (isThree ? scripts.kafka3 : scripts.kafka).install();
    const port = PORTS[broker as keyof typeof PORTS];
    const node = (isThree ? scripts.kafka3Control : scripts.kafkaControl)({
      name: `faults-${port}`,
      port,
      detours: detours(isThree ? 1 : 0, services),
      settings: BROKER_SETTINGS,
    });
    await node.stop();
    node.deleteData();
    await node.start();
    const server = new KafkaServer([node], [isThree ? 1 : 0], services);
    return server.underTest({
      kinds: kafkaFaults(server),
      version: isThree ? "3.9.1" : "4.3.1",
      mend: async () => {
        if (node.pid !== undefined) node.thaw();
        await node.start();
      },
      close: async () => {
        if (node.pid !== undefined) node.thaw();
        await node.stop();
        node.deleteData();
      },
    });
  },
};

async function startCluster(services: number): Promise<BrokerUnderTest> {
  const scripts = await brokerScripts();
  await scripts.kafkaCluster.install();
  const firstPort = PORTS["kafka-cluster"];
  const slots = Array.from({ length: NODES }, (_, index) => 2 + index);
  const cluster = scripts.kafkaClusterControl({
    name: `faults-${firstPort}`,
    firstPort,
    detours: slots.map((slot) => detours(slot, services)),
    settings: CLUSTER_SETTINGS,
  });
  await cluster.stop();
  cluster.deleteData();
  await cluster.start();
  const server = new KafkaServer(cluster.nodes, slots, services);
  const thawAll = (): void => {
    for (const node of cluster.nodes) if (node.pid !== undefined) node.thaw();
  };
  return server.underTest({
    kinds: clusterFaults(server, cluster),
    version: "4.3.1",
    mend: async () => {
      thawAll();
      await cluster.start();
      await server.inSync();
    },
    close: async () => {
      thawAll();
      await cluster.stop();
      cluster.deleteData();
    },
  });
}

function detours(slot: number, services: number): readonly Detour[] {
  return Array.from({ length: services }, (_, service) => ({
    port: FIRST_DETOUR_PORT + slot * 2 * DETOURS + service,
    advertisedPort: FIRST_DETOUR_PORT + slot * 2 * DETOURS + DETOURS + service,
  }));
}

class KafkaServer implements KafkaUnderFault {
  readonly nodes: readonly KafkaNode[];
  readonly admin: KafkaAdmin;
  /** Of each node: which block of ports its detours have. */
  readonly #slots: readonly number[];

  readonly #services: number;

  constructor(nodes: readonly KafkaNode[], slots: readonly number[], services: number) {
    this.nodes = nodes;
    this.#slots = slots;
    this.#services = services;
    this.admin = new KafkaAdmin(nodes.map(({ address }) => address));
  }

  async topicsOf(endpoint: string): Promise<readonly string[]> {
    const retries = new RegExp(`^${endpoint}\\.retry\\.`);
    const subscribed = SUBSCRIBED[endpoint] ?? [];
    return (await this.admin.topics()).filter((topic) => subscribed.includes(topic) || retries.test(topic));
  }

  async inSync(): Promise<void> {
    const deadline = performance.now() + IN_SYNC_WITHIN_MS;
    while (!(await this.admin.isInSync().catch(() => false))) {
      if (performance.now() > deadline) throw new Error(`some replicas are not in sync after ${IN_SYNC_WITHIN_MS} ms`);
      await sleep(200);
    }
  }

  underTest(
    own: Pick<BrokerUnderTest, "mend" | "close"> & { readonly kinds: readonly FaultKind[]; readonly version: string },
  ): BrokerUnderTest {
    return {
      description: this.#describe(own.version),
      addresses: (service) =>
        this.nodes.map((node, index) => {
          const detour = detours(this.#slots[index] ?? 0, service + 1)[service];
          if (!detour) throw new Error(`service ${service} has no port`);
          return { name: node.name, port: detour.port, proxyPort: detour.advertisedPort };
        }),
      transportThrough: (ports) => transportThrough(ports, this.#services),
      direct: transportThrough(
        this.nodes.map(({ address }) => Number(new URL(`kafka://${address}`).port)),
        this.#services,
      ),
      rebalances: true,
      aftermathMs: AFTERMATH_MS,
      depths: () => this.#depths(),
      depthsAgeMs: DEPTHS_AGE_MS,
      kinds: own.kinds,
      mixes: { churn: churnFaults(this) },
      mend: own.mend,
      close: own.close,
    };
  }

  #describe(version: string): Record<string, string> {
    const nodes = this.nodes.length;
    return {
      broker: `Kafka ${version}, ${nodes} node${nodes > 1 ? "s" : ""}`,
      client: `kafkajs ${versionOfPackage("kafkajs")}`,
      durability: `acks: all; ${nodes > 1 ? "three replicas of which two must have it" : "one replica"}; not fsynced: a killed process is tested here, a power failure is not`,
      "session timeout": `${SESSION_TIMEOUT_MS / 1_000} s`,
    };
  }

  async #depths(): Promise<readonly QueueState[]> {
    const all = await this.admin.topics();
    const states = ENDPOINTS.map(async (endpoint) => {
      const topics = (await this.topicsOf(endpoint)).map(async (topic) => ({
        queue: `${endpoint} of ${topic}`,
        messages: await this.admin.lag(endpoint, topic),
        deadLetters: false,
      }));
      const letters = all
        .filter((topic) => topic === `${endpoint}.dead-letter`)
        .map(async (topic) => {
          const offsets = await this.admin.offsets(topic);
          return { queue: topic, messages: offsets.reduce((sum, { low, high }) => sum + high - low, 0), deadLetters: true };
        });
      return await Promise.all([...topics, ...letters]);
    });
    return (await Promise.all(states)).flat();
  }
}

function transportThrough(ports: readonly number[], services: number): unknown {
  return {
    type: "kafka",
    brokers: ports.map((port) => `127.0.0.1:${port}`),
    // Which service it is, in what the broker tells of a group.
    clientId: `faults-${ports[0]}`,
    // Enough for every instance: one without a partition would seem to stand still.
    partitions: Math.max(LEAST_PARTITIONS, services),
    sessionTimeout: SESSION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
  };
}
