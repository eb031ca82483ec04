import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { composeDown, composeUp, dockerAnswers } from "./docker.mjs";
import { BrokerUnavailable } from "./errors.mjs";
import { brokerDirectory, brokersDirectory } from "./paths.mjs";
import { isAlive, withLock } from "./processes.mjs";
import { waitUntil } from "./wait-until.mjs";

/**
 * A server that runs here as processes of ours.
 * @typedef {object} LocalServer
 * @property {() => boolean} running
 * @property {() => Promise<void>} start returns when clients can connect
 * @property {() => Promise<void>} stop ends every process it started
 * @property {() => void} deleteData
 */

/**
 * What a file in `scripts/brokers.d` says about its broker.
 * @typedef {object} BrokerDefinition
 * @property {string} name what the command line calls it
 * @property {string} title what a person calls it
 * @property {string} variable the environment variable with its URL (or URLs, with commas); one that answers there is used as it is
 * @property {() => string} url where it listens when it was started here
 * @property {(url: string) => Promise<boolean>} answers whether a broker of this kind answers at one URL
 * @property {() => string} [managementUrl] its management page, when it was started here
 * @property {() => boolean} installed whether `server()` can start
 * @property {() => boolean} canInstall whether `install()` can work on this machine
 * @property {() => Promise<void>} install
 * @property {string} needs completes "it needs ..." when the server is missing and cannot be installed
 * @property {() => LocalServer} server
 * @property {{ service: string, variables: () => Record<string, string> }} [docker] the service of `compose.yaml`
 */

/** @typedef {"environment" | "local" | "docker"} Origin where a running broker comes from: a URL that was given, a process of ours, our container */
/** @typedef {{ url: string, origin: Origin, managementUrl?: string }} RunningBroker */

/** One broker: brought up, looked at and taken down in the same way, whatever it is. */
export class Broker {
  #definition;

  /** @param {BrokerDefinition} definition */
  constructor(definition) {
    this.#definition = definition;
    this.name = definition.name;
    this.title = definition.title;
    this.variable = definition.variable;
  }

  /** @returns {boolean} whether it can be started here without installing anything */
  get installed() {
    return this.#definition.installed();
  }

  /** Installs the server; does nothing when it is there. Throws `BrokerUnavailable` where that cannot work. */
  async install() {
    if (this.installed) return;
    if (!this.#definition.canInstall())
      throw new BrokerUnavailable(`${this.title} cannot be installed here: it needs ${this.#definition.needs}`);
    await withLock(join(brokerDirectory("locks"), "install"), async () => {
      if (!this.installed) await this.#definition.install();
    });
  }

  /** @returns {Promise<RunningBroker | undefined>} the broker as it runs now, `undefined` when it does not */
  async running() {
    const { url, managementUrl, docker, variable } = this.#definition;
    const own = { url: url(), ...(managementUrl ? { managementUrl: managementUrl() } : {}) };
    const given = process.env[variable];
    if (given && given !== own.url && (await this.#answers(given))) return { url: given, origin: "environment" };
    if (this.installed && this.#definition.server().running()) return { ...own, origin: "local" };
    if (docker && existsSync(this.#containerMark) && (await this.#answers(own.url))) return { ...own, origin: "docker" };
    if (given && (await this.#answers(given))) return { url: given, origin: "environment" };
    return undefined;
  }

  /**
   * Brings the broker up: one that answers at the URL in the environment, else this machine's server (installed when possible), else a container.
   * Throws `BrokerUnavailable`, saying what is missing, where none of them can be had.
   * @returns {Promise<RunningBroker>}
   */
  up() {
    return this.#locked(async () => {
      const running = await this.#ensureUp();
      rmSync(this.#borrowedMark, { force: true });
      return running;
    });
  }

  /** Stops what was started here, and nothing else. */
  down() {
    return this.#locked(() => this.#stop());
  }

  /** Takes the broker down and forgets its data. */
  async deleteData() {
    await this.down();
    this.#definition.server().deleteData();
  }

  /**
   * Brings the broker up for the time of a test run. `giveBack` takes it down again, unless it ran before or another run still uses it.
   * @returns {Promise<RunningBroker & { giveBack: () => Promise<void> }>}
   */
  async borrow() {
    const lease = join(this.#leases, String(process.pid));
    const running = await this.#locked(async () => {
      const before = await this.running();
      const now = before ?? (await this.#ensureUp());
      if (before === undefined) writeFileSync(this.#borrowedMark, "");
      mkdirSync(this.#leases, { recursive: true });
      writeFileSync(lease, "");
      return now;
    });
    const giveBack = () =>
      this.#locked(async () => {
        rmSync(lease, { force: true });
        const others = existsSync(this.#leases) ? readdirSync(this.#leases).filter((pid) => isAlive(Number(pid))) : [];
        if (others.length === 0 && existsSync(this.#borrowedMark)) await this.#stop();
      });
    return { ...running, giveBack };
  }

  async #ensureUp() {
    const running = await this.running();
    if (running) return running;
    const { docker, needs, server, canInstall } = this.#definition;
    if (this.installed || canInstall()) {
      await this.install();
      await server().start();
    } else if (docker && (await dockerAnswers())) {
      await this.#startContainer(docker);
    } else {
      const alternatives = docker ? ", or a Docker engine with Compose" : "";
      throw new BrokerUnavailable(
        `${this.title} is not here and cannot be started: it needs ${needs}${alternatives}, or ${this.variable} set to where one runs`,
      );
    }
    const started = await this.running();
    if (!started) throw new Error(`${this.title} was started but is not running`);
    return started;
  }

  /** @param {{ service: string, variables: () => Record<string, string> }} docker */
  async #startContainer({ service, variables }) {
    writeFileSync(this.#containerMark, "");
    await composeUp(service, variables());
    await waitUntil(`${this.title} to answer`, () => this.#answers(this.#definition.url()), { deadlineMs: 60_000 });
  }

  async #stop() {
    rmSync(this.#borrowedMark, { force: true });
    if (this.installed) await this.#definition.server().stop();
    if (this.#definition.docker && existsSync(this.#containerMark)) {
      await composeDown(this.#definition.docker.service);
      rmSync(this.#containerMark, { force: true });
    }
  }

  /** @param {string} urls one or more, with commas */
  async #answers(urls) {
    const answers = await Promise.all(urls.split(",").map((url) => this.#definition.answers(url.trim())));
    return answers.every(Boolean);
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #locked(work) {
    return withLock(join(brokerDirectory("locks"), this.name), work);
  }

  get #leases() {
    return join(brokersDirectory(), "leases", this.name);
  }

  /** Says that the broker was started by a test run that borrowed it. */
  get #borrowedMark() {
    return join(brokerDirectory("locks"), `${this.name}.borrowed`);
  }

  /** Says that the container is ours to remove. */
  get #containerMark() {
    return join(brokerDirectory("locks"), `${this.name}.container`);
  }
}
