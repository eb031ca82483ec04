import { type ChildProcess, fork } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { machineTime } from "./ledger.js";
import type { FaultHit, LedgerEntry } from "./ledger-event.js";
import { CONFIG_VARIABLE, type Command, type Dying, type ServiceConfig, type Status } from "./protocol.js";

/** A service that is killed by a message must not be able to take the machine's memory with it. */
const HEAP_LIMIT_MB = 192;
const READY_WITHIN_MS = 60_000;
/** Twenty processes that begin at one moment keep each other from it. */
const STARTED_TOGETHER = 4;
/** Doubled each time that it dies within {@link SHORT_LIFE_MS}, so that a service that cannot live does not eat the machine. */
const RESTART_AFTER_MS = 200;
const RESTART_AFTER_AT_MOST_MS = 5_000;
const SHORT_LIFE_MS = 1_000;
/** The deadline of `bus.stop()` in the services, what they wait for before it, and some time. */
const STOP_WITHIN_MS = 60_000;

/** Starts the services, and starts them again whenever they die, as a production supervisor does. */
export class Supervisor {
  readonly services: readonly SupervisedService[];

  constructor(configs: readonly ServiceConfig[], note: (entry: LedgerEntry) => void) {
    this.services = configs.map((config) => new SupervisedService(config, note));
  }

  get publishers(): readonly SupervisedService[] {
    return this.services.filter((service) => service.config.role === "publisher");
  }

  get consumers(): readonly SupervisedService[] {
    return this.services.filter((service) => service.config.role === "consumer");
  }

  /** Consumers first: what is published before an endpoint exists is nobody's. */
  async start(): Promise<void> {
    const { consumers } = this;
    for (let next = 0; next < consumers.length; next += STARTED_TOGETHER) {
      await Promise.all(consumers.slice(next, next + STARTED_TOGETHER).map((service) => service.start()));
    }
    await Promise.all(this.publishers.map((service) => service.start()));
  }

  async stop(services: readonly SupervisedService[] = this.services): Promise<void> {
    await Promise.all(services.map((service) => service.stop()));
  }
}

/** One service and the process that is it at present. */
export class SupervisedService {
  readonly config: ServiceConfig;
  status: Status = { status: "starting", acknowledged: 0, outstanding: 0, handled: 0, running: 0 };
  /** Over all lives. */
  deaths = 0;
  readonly #note: (entry: LedgerEntry) => void;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #wanted = false;
  #expectedDeath: string | undefined;
  #dyingSince: number | undefined;
  /** What the lives before this one counted. */
  #before = { acknowledged: 0, handled: 0 };
  #ready: (() => void) | undefined;
  #spawnedAt = 0;
  #shortLives = 0;
  #lives = 0;

  constructor(config: ServiceConfig, note: (entry: LedgerEntry) => void) {
    this.config = config;
    this.#note = note;
  }

  get name(): string {
    return this.config.name;
  }

  /** Acknowledged publishes and handled messages since the start of the run: what shows that there is progress. */
  get progress(): number {
    return this.#before.acknowledged + this.#before.handled + this.status.acknowledged + this.status.handled;
  }

  /** What a fault that hits it may cause again, at most (P2). A consumer publishes too, as much as its handlers hold. */
  get repeats(): number {
    const { role, outstanding, prefetch, concurrency, workload } = this.config;
    if (role === "publisher") return outstanding;
    return (prefetch + concurrency) * (workload === "full" ? 3 : 1);
  }

  hit(times = 1): FaultHit {
    return { process: this.name, repeats: this.repeats * times };
  }

  /** Resolves when it says that it is ready. @throws Error when it ends before. */
  async start(): Promise<void> {
    this.#wanted = true;
    await this.#spawn();
    if (this.status.status !== "starting") return;
    this.#wanted = false;
    throw new Error(`${this.name} could not be started; see ${this.name}.output and its ledger in ${this.config.folder}`);
  }

  /** Politely; resolves when the process has ended. */
  async stop(): Promise<void> {
    this.#wanted = false;
    const child = this.#child;
    if (!child) return;
    this.#expectedDeath = "stopped";
    child.kill("SIGTERM");
    const timer = setTimeout(() => {
      this.#trouble(`did not stop within ${STOP_WITHIN_MS} ms, killed`);
      child.kill("SIGKILL");
    }, STOP_WITHIN_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  async restartPolitely(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** SIGKILL; the supervisor brings it back. Resolves when it is ready again. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#expectedDeath = "killed";
    child.kill("SIGKILL");
    await this.#ended;
    await this.waitUntilReady();
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  send(command: Command): void {
    if (this.#child?.connected) this.#child.send(command);
  }

  async waitUntilReady(): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    while (this.status.status === "starting" && performance.now() < deadline) await sleep(50);
  }

  async #spawn(): Promise<void> {
    this.#before = {
      acknowledged: this.#before.acknowledged + this.status.acknowledged,
      handled: this.#before.handled + this.status.handled,
    };
    this.status = { status: "starting", acknowledged: 0, outstanding: 0, handled: 0, running: 0 };
    this.#expectedDeath = undefined;
    this.#dyingSince = undefined;
    // Another life goes on with other messages.
    const config: ServiceConfig = { ...this.config, seed: this.config.seed + this.#lives++ };
    const entry = fileURLToPath(new URL(`./${this.config.role}.js`, import.meta.url));
    const child = fork(entry, [], {
      execArgv: ["--enable-source-maps", `--max-old-space-size=${HEAP_LIMIT_MB}`],
      env: { ...process.env, [CONFIG_VARIABLE]: JSON.stringify(config) },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // Not in the runner's process group: Ctrl-C is for the runner, which stops the services in order.
      detached: true,
    });
    this.#child = child;
    this.#spawnedAt = performance.now();
    const output = createWriteStream(join(this.config.folder, `${this.name}.output`), { flags: "a" });
    child.stdout?.pipe(output, { end: false });
    child.stderr?.pipe(output, { end: false });
    child.on("message", (message) => this.#heard(message as Status | Dying));
    this.#ended = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        output.end();
        this.#exited(code, signal);
        resolve();
      });
    });
    const timer = setTimeout(() => {
      this.#trouble(`was not ready within ${READY_WITHIN_MS} ms, killed`);
      child.kill("SIGKILL");
    }, READY_WITHIN_MS);
    await Promise.race([new Promise<void>((resolve) => (this.#ready = resolve)), this.#ended]);
    clearTimeout(timer);
  }

  #heard(message: Status | Dying): void {
    if ("dying" in message) {
      this.#expectedDeath = message.dying;
      this.#dyingSince = machineTime();
      return;
    }
    this.status = message;
    this.#ready?.();
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    this.#child = undefined;
    this.status = { ...this.status, status: "starting", outstanding: 0, running: 0 };
    const how = signal ?? `exit code ${code}`;
    this.#note({ event: "process", what: `${this.name} ended with ${how}${this.#expectedDeath ? ` (${this.#expectedDeath})` : ""}` });
    if (this.#expectedDeath === undefined) this.#trouble(`ended by itself with ${how}; see ${this.name}.output`);
    if (this.#dyingSince !== undefined) this.#diedOfMessage(this.#dyingSince);
    if (!this.#wanted) return;
    this.deaths++;
    this.#shortLives = performance.now() - this.#spawnedAt < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    const wait = Math.min(RESTART_AFTER_AT_MOST_MS, RESTART_AFTER_MS * 2 ** this.#shortLives);
    setTimeout(() => void (this.#wanted && !this.#child && this.#spawn()), wait);
  }

  /** A fault of its own, which nobody scheduled: what this process held comes again. */
  #diedOfMessage(since: number): void {
    const hits = [this.hit()];
    this.#note({ event: "fault", fault: 0, kind: "killed by a message", from: since, until: machineTime(), hits, detail: this.name });
  }

  #trouble(text: string): void {
    this.#note({ event: "trouble", text: `${this.name} ${text}` });
  }
}
