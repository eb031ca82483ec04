import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answersAmqp } from "./amqp-probe.mjs";
import { endProcess, ownPid, ownProcesses, signal, spawnDetached } from "./processes.mjs";
import { managementApi } from "./rabbitmq-management.mjs";
import { run } from "./run.mjs";
import { waitUntil } from "./wait-until.mjs";

/**
 * How to run RabbitMQ's own programs.
 * @typedef {object} RabbitmqPrograms
 * @property {string} directory the folder with `rabbitmq-server` and `rabbitmqctl`, as the started program sees it
 * @property {readonly string[]} settings lines for `rabbitmq.conf` that these programs need
 * @property {(dataDirectory: string, command: string, args: readonly string[]) => { command: string, args: string[], dataDirectory: string }} wrap
 *   turns a command into one that runs where the programs live (a chroot, say) and tells how the data folder is called there
 */

/**
 * @typedef {object} NodeOptions
 * @property {string} name the broker's or node's name; becomes part of the Erlang node name
 * @property {string} directory its data, logs and pid file
 * @property {RabbitmqPrograms} programs
 * @property {{ amqp: number, management: number, distribution: number, epmd: number }} ports all of them bound to 127.0.0.1
 * @property {{ nodes: readonly string[], cookie: string }} [cluster] the node names of the cluster and the cookie that they share
 */

/** One RabbitMQ server as a process of ours: started with its own home, data and ports, and controlled by its pid. */
export class RabbitmqNode {
  #options;
  #pidFile;

  /** @param {NodeOptions} options */
  constructor(options) {
    this.#options = options;
    this.#pidFile = join(options.directory, "server.pid");
    this.name = options.name;
    this.directory = options.directory;
    this.nodeName = nodeName(options.name);
    this.amqpUrl = `amqp://guest:guest@127.0.0.1:${options.ports.amqp}`;
    this.managementUrl = `http://guest:guest@127.0.0.1:${options.ports.management}`;
    this.management = managementApi(this.managementUrl);
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
    const { directory, programs, ports } = this.#options;
    if (await answersAmqp(this.amqpUrl)) {
      throw new Error(
        `port ${ports.amqp} is taken by a server that was not started here: stop it, or choose other ports (scripts/brokers help)`,
      );
    }
    this.#writeConfiguration();
    const { command, args, dataDirectory } = programs.wrap(directory, join(programs.directory, "rabbitmq-server"), []);
    const env = this.#environment(dataDirectory);
    spawnDetached({ command, args, env, mark: directory, pidFile: this.#pidFile, output: join(directory, "server.log") });
  }

  /** Waits until the server takes clients and its management API answers. */
  async ready() {
    await waitUntil(
      `RabbitMQ "${this.name}" to take clients`,
      async () => (await answersAmqp(this.amqpUrl)) && (await this.management.answers()),
      {
        deadlineMs: 90_000,
        giveUp: () => (this.pid === undefined ? `its process has ended; see ${join(this.directory, "server.log")}` : undefined),
      },
    );
  }

  /** Stops the server politely; after 30 s it is killed. */
  async stop() {
    const { pid } = this;
    if (pid !== undefined) await endProcess({ pid, mark: this.directory, politeMs: 30_000 });
    rmSync(this.#pidFile, { force: true });
  }

  /** Ends what the stopped server has left behind: its port mapper (epmd), which the other nodes of a cluster may still need. */
  async stopHelpers() {
    for (const pid of ownProcesses(this.directory)) await endProcess({ pid, mark: this.directory, politeMs: 2_000 });
  }

  /** Kills the server as a power cut would: SIGKILL, and waits until it is gone. `start()` brings it back with its data. */
  async kill() {
    const { pid } = this;
    if (pid === undefined) throw new Error(`RabbitMQ "${this.name}" does not run, so it cannot be killed`);
    await endProcess({ pid, mark: this.directory, politeMs: 0 });
  }

  /** Stops the server politely and starts it again. */
  async restartPolitely() {
    await this.stop();
    await this.start();
  }

  /** Stops the process in its tracks (SIGSTOP): connections stay open and nothing answers. */
  freeze() {
    this.#signal("SIGSTOP");
  }

  /** Lets a frozen process go on (SIGCONT). */
  thaw() {
    this.#signal("SIGCONT");
  }

  /**
   * Runs `rabbitmqctl` on this server, with its cookie.
   * @param {...string} args
   * @returns {Promise<string>} its standard output
   */
  async ctl(...args) {
    const { directory, programs } = this.#options;
    const wrapped = programs.wrap(directory, join(programs.directory, "rabbitmqctl"), ["--quiet", "-n", this.nodeName, ...args]);
    return await run(wrapped.command, wrapped.args, { env: this.#environment(wrapped.dataDirectory) });
  }

  /** Forgets everything the server kept. It must not be running. */
  deleteData() {
    if (this.pid !== undefined) throw new Error(`RabbitMQ "${this.name}" runs: stop it before its data is deleted`);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** @param {NodeJS.Signals} name */
  #signal(name) {
    const { pid } = this;
    if (pid === undefined) throw new Error(`RabbitMQ "${this.name}" does not run, so it cannot get ${name}`);
    signal(pid, name);
  }

  #writeConfiguration() {
    const { directory, ports, programs, cluster } = this.#options;
    for (const folder of ["home", "data", "log", "conf.d"]) mkdirSync(join(directory, folder), { recursive: true });
    const lines = [
      `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
      "management.tcp.ip = 127.0.0.1",
      `management.tcp.port = ${ports.management}`,
      "disk_free_limit.absolute = 100MB",
      "log.file.level = info",
      ...programs.settings,
    ];
    if (cluster) {
      lines.push("cluster_partition_handling = pause_minority", "cluster_formation.peer_discovery_backend = classic_config");
      cluster.nodes.forEach((node, index) => {
        lines.push(`cluster_formation.classic_config.nodes.${index + 1} = ${node}`);
      });
      const cookieFile = join(directory, "home/.erlang.cookie");
      if (!existsSync(cookieFile)) writeFileSync(cookieFile, cluster.cookie, { mode: 0o400 });
    }
    writeFileSync(join(directory, "rabbitmq.conf"), `${lines.join("\n")}\n`);
    writeFileSync(join(directory, "enabled_plugins"), "[rabbitmq_management].\n");
  }

  /**
   * Built from nothing, so that no RABBITMQ_ variable of the caller and no file in /etc/rabbitmq has a say.
   * @param {string} data the data folder as the program sees it
   * @returns {Record<string, string>}
   */
  #environment(data) {
    const { ports } = this.#options;
    return {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      LANG: "C.UTF-8",
      HOME: join(data, "home"),
      RABBITMQ_NODENAME: this.nodeName,
      RABBITMQ_MNESIA_BASE: join(data, "data"),
      RABBITMQ_LOG_BASE: join(data, "log"),
      RABBITMQ_CONF_ENV_FILE: join(data, "rabbitmq-env.conf"),
      RABBITMQ_CONFIG_FILE: join(data, "rabbitmq"),
      RABBITMQ_CONFIG_FILES: join(data, "conf.d"),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(data, "advanced"),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(data, "enabled_plugins"),
      RABBITMQ_DIST_PORT: String(ports.distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
      RABBITMQ_CTL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
      ERL_EPMD_ADDRESS: "127.0.0.1",
      // A port mapper of our own: a shared one would be somebody else's to stop, or ours to stop under somebody else.
      ERL_EPMD_PORT: String(ports.epmd),
      // Makes the start script become the server instead of waiting for it, so that the pid is the server's.
      RUNNING_UNDER_SYSTEMD: "true",
    };
  }
}

/**
 * @param {string} name
 * @returns {string} the Erlang node name
 */
export function nodeName(name) {
  return `tb-${name}@localhost`;
}
