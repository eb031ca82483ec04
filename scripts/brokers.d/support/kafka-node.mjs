import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jarsOf } from "./kafka-programs.mjs";
import { answersKafka, knownBrokers, takesConsumers } from "./kafka-wire.mjs";
import { endProcess, ownPid, signal, spawnDetached } from "./processes.mjs";
import { run } from "./run.mjs";
import { waitUntil } from "./wait-until.mjs";

/**
 * A further port for clients who shall reach the broker through something else, a proxy say: to them it advertises that one's port.
 * @typedef {{ port: number, advertisedPort: number }} Detour
 */

/**
 * @typedef {object} NodeOptions
 * @property {string} name
 * @property {string} directory its data, logs and pid file
 * @property {import("./kafka-programs.mjs").KafkaVersion} kafka
 * @property {number} id from 1
 * @property {number} port where it takes clients, on 127.0.0.1; its controller listens 500 above
 * @property {readonly { id: number, port: number }[]} cluster all nodes, this one included
 * @property {string} clusterId 22 characters of base64url
 * @property {readonly Detour[]} [detours]
 * @property {Readonly<Record<string, string | number>>} [settings] lines of `server.properties` that replace ours or join them
 */

/** One Kafka server (broker and controller in one) as a process of ours, controlled by its pid. */
export class KafkaNode {
  #options;
  #pidFile;

  /** @param {NodeOptions} options */
  constructor(options) {
    this.#options = options;
    this.#pidFile = join(options.directory, "server.pid");
    this.id = options.id;
    this.name = options.name;
    this.directory = options.directory;
    this.address = `127.0.0.1:${options.port}`;
    this.detours = options.detours ?? [];
  }

  /** @returns {number | undefined} the pid of the server, while it lives */
  get pid() {
    return ownPid(this.#pidFile, this.directory);
  }

  /** Starts the server and waits until it takes clients. Does nothing when it runs. */
  async start() {
    await this.launch();
    await this.ready();
  }

  /** Starts the process without waiting for it: the nodes of a new cluster must come up together. */
  async launch() {
    if (this.pid !== undefined) return;
    const { directory } = this.#options;
    if (await answersKafka(this.address)) {
      throw new Error(
        `${this.address} is taken by a server that was not started here: stop it, or choose other ports (scripts/brokers help)`,
      );
    }
    this.#writeConfiguration();
    await this.#format();
    const memory = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"];
    const args = [...memory, `-Dkafka.logs.dir=${join(directory, "log")}`, ...this.#java("kafka.Kafka"), this.#propertiesFile];
    spawnDetached({
      command: "java",
      args,
      env: environment(),
      mark: directory,
      pidFile: this.#pidFile,
      output: join(directory, "server.log"),
    });
  }

  /** Waits until the server is known to its cluster, and a consumer can join a group. */
  async ready() {
    await waitUntil(
      `Kafka "${this.name}" to take clients`,
      async () =>
        (await answersKafka(this.address)) &&
        (await knownBrokers(this.address)).some(({ id }) => id === this.id) &&
        (await takesConsumers(this.address)),
      {
        deadlineMs: 90_000,
        giveUp: () => (this.pid === undefined ? `its process has ended; see ${join(this.directory, "server.log")}` : undefined),
      },
    );
  }

  /** Stops the server politely (it hands over what it leads first); after 30 s it is killed. */
  async stop() {
    const { pid } = this;
    if (pid !== undefined) await endProcess({ pid, mark: this.directory, politeMs: 30_000 });
    rmSync(this.#pidFile, { force: true });
  }

  /** Kills the server as a crash would: SIGKILL, and waits until it is gone. `start()` brings it back with its data. */
  async kill() {
    const { pid } = this;
    if (pid === undefined) throw new Error(`Kafka "${this.name}" does not run, so it cannot be killed`);
    await endProcess({ pid, mark: this.directory, politeMs: 0 });
  }

  /** Stops the process in its tracks (SIGSTOP): connections stay open and nothing answers. */
  freeze() {
    this.#signal("SIGSTOP");
  }

  /** Lets a frozen process go on (SIGCONT). */
  thaw() {
    this.#signal("SIGCONT");
  }

  /** Forgets everything the server kept. It must not be running. */
  deleteData() {
    if (this.pid !== undefined) throw new Error(`Kafka "${this.name}" runs: stop it before its data is deleted`);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** @param {NodeJS.Signals} name */
  #signal(name) {
    const { pid } = this;
    if (pid === undefined) throw new Error(`Kafka "${this.name}" does not run, so it cannot get ${name}`);
    signal(pid, name);
  }

  get #propertiesFile() {
    return join(this.directory, "server.properties");
  }

  /**
   * What every Java program of Kafka is started with.
   * @param {string} mainClass
   */
  #java(mainClass) {
    const { kafka } = this.#options;
    return [`-D${kafka.logProperty}=file:${join(this.directory, "log.properties")}`, "-cp", join(jarsOf(kafka), "*"), mainClass];
  }

  async #format() {
    if (existsSync(join(this.directory, "data", "meta.properties"))) return;
    const args = ["format", "-t", this.#options.clusterId, "-c", this.#propertiesFile];
    await run("java", [...this.#java("kafka.tools.StorageTool"), ...args], { env: environment() });
  }

  #writeConfiguration() {
    const { directory, kafka } = this.#options;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "log.properties"), `${kafka.logSettings}\n`);
    const lines = Object.entries(this.#properties()).map(([name, value]) => `${name}=${value}`);
    writeFileSync(this.#propertiesFile, `${lines.join("\n")}\n`);
  }

  /** @returns {Record<string, string | number>} */
  #properties() {
    const { cluster, directory, id, port, settings } = this.#options;
    const detours = this.detours.map((detour, index) => ({ ...detour, listener: `DETOUR${index}` }));
    const listeners = ["PLAINTEXT", "CONTROLLER", ...detours.map(({ listener }) => listener)];
    const replicas = Math.min(3, cluster.length);
    const inSync = Math.max(1, replicas - 1);
    return {
      "process.roles": "broker,controller",
      "node.id": id,
      "controller.quorum.voters": cluster.map((node) => `${node.id}@127.0.0.1:${controllerPort(node.port)}`).join(","),
      "controller.listener.names": "CONTROLLER",
      "inter.broker.listener.name": "PLAINTEXT",
      "listener.security.protocol.map": listeners.map((listener) => `${listener}:PLAINTEXT`).join(","),
      listeners: [
        `PLAINTEXT://127.0.0.1:${port}`,
        `CONTROLLER://127.0.0.1:${controllerPort(port)}`,
        ...detours.map((detour) => `${detour.listener}://127.0.0.1:${detour.port}`),
      ].join(","),
      "advertised.listeners": [
        `PLAINTEXT://127.0.0.1:${port}`,
        ...detours.map((detour) => `${detour.listener}://127.0.0.1:${detour.advertisedPort}`),
      ].join(","),
      "log.dirs": join(directory, "data"),
      "num.partitions": 3,
      "auto.create.topics.enable": "false",
      "default.replication.factor": replicas,
      "min.insync.replicas": inSync,
      "offsets.topic.replication.factor": replicas,
      "offsets.topic.num.partitions": 5,
      "transaction.state.log.replication.factor": replicas,
      "transaction.state.log.min.isr": inSync,
      "transaction.state.log.num.partitions": 5,
      "share.coordinator.state.topic.replication.factor": replicas,
      "share.coordinator.state.topic.min.isr": inSync,
      "group.initial.rebalance.delay.ms": 0,
      "group.min.session.timeout.ms": 1_000,
      "num.network.threads": detours.length > 0 ? 1 : 2, // of each listener
      "num.io.threads": 4,
      ...settings,
    };
  }
}

/** @param {number} port */
function controllerPort(port) {
  return port + 500;
}

/** Built from nothing, so that no KAFKA_ variable of the caller has a say. */
function environment() {
  const { PATH, HOME, JAVA_HOME } = process.env;
  return {
    PATH: PATH ?? "/usr/bin:/bin",
    LANG: "C.UTF-8",
    ...(HOME === undefined ? {} : { HOME }),
    ...(JAVA_HOME === undefined ? {} : { JAVA_HOME }),
  };
}
