import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../support/random.js";
import { controlNamed } from "./controls/index.js";
import { drainDeadLetters, noteDepths, untilQuiet } from "./drain.js";
import type { FaultKind, Scene } from "./kinds/fault-kind.js";
import { Ledger } from "./ledger.js";
import type { LedgerEntry } from "./ledger-event.js";
import { mixNamed } from "./mixes.js";
import { Nemesis } from "./nemesis.js";
import { ServiceNetwork } from "./network.js";
import type { ServiceConfig } from "./protocol.js";
import type { RunOptions } from "./run-options.js";
import { type SupervisedService, Supervisor } from "./supervisor.js";
import type { BrokerUnderTest } from "./transports/transport.js";

/** After a fault everybody must get on again within this time, whatever waits the adapter had got into. */
const RECOVERY_LIMIT_MS = 90_000;
/** Libraries that stand still for ever are not waited for so long, fault after fault. */
const PEER_RECOVERY_LIMIT_MS = 20_000;
const OUTSTANDING = 50;
const KEYS = 20;
const CONCURRENCY = 8;
/** 31 innocent messages and the one that kills. */
const POISON_CONCURRENCY = 32;
/** Slow enough that handlers are running whenever a fault comes; with the rate of the controls, so slow that a backlog waits. */
const WORK_MS = 200;
/** Before the first fault: everybody is at work, and the broker has written down what was declared. */
const WARM_UP_MS = 6_000;

/** One run: services around a broker, faults, the drain. Afterwards `folder` holds everything that is to be known. */
export class FaultRun {
  readonly folder: string;
  readonly #options: RunOptions;
  readonly #broker: BrokerUnderTest;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #networks = new Map<string, ServiceNetwork>();
  readonly #stopped = new AbortController();
  #supervisor: Supervisor | undefined;
  #recoveriesMs: readonly number[] = [];

  constructor(options: RunOptions, broker: BrokerUnderTest) {
    this.#options = options;
    this.#broker = broker;
    this.#random = new Random(options.seed);
    this.folder = mkdtempSync(join(tmpdir(), `faults-${options.seed}-`));
    this.#ledger = new Ledger(this.folder, "runner");
  }

  get recoveriesMs(): readonly number[] {
    return this.#recoveriesMs;
  }

  /** Ends the run at its next wait, by an error, so that it cleans up. */
  interrupt(): void {
    this.#stopped.abort();
  }

  async run(say: (line: string) => void): Promise<void> {
    const configs = await this.#configs();
    const note = (entry: LedgerEntry): void => this.#ledger.write(this.#broker.rebalances ? withOthers(entry, configs) : entry);
    const supervisor = new Supervisor(configs, note);
    this.#supervisor = supervisor;
    await supervisor.start();
    await this.#wait(WARM_UP_MS);
    const nemesis = new Nemesis({
      kinds: this.#kinds(),
      faults: this.#options.faults,
      random: this.#random.fork(),
      signal: this.#stopped.signal,
      recoveryLimitMs: this.#options.client === "trolleybus" ? RECOVERY_LIMIT_MS : PEER_RECOVERY_LIMIT_MS,
      killLaggards: this.#options.client !== "trolleybus",
      scene: this.#scene(supervisor),
      note,
      say,
    });
    await nemesis.run();
    this.#recoveriesMs = nemesis.recoveriesMs;
    await this.#wait(WARM_UP_MS);
    await this.#finish(supervisor, say, note);
  }

  /** Everything that this run has started, but for the broker. */
  async close(): Promise<void> {
    await this.#supervisor?.stop();
    await Promise.all([...this.#networks.values()].map((network) => network.close()));
    this.#ledger.close();
  }

  deleteFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #finish(supervisor: Supervisor, say: (line: string) => void, note: (entry: LedgerEntry) => void): Promise<void> {
    say("draining");
    await this.#broker.mend();
    for (const network of this.#networks.values()) await network.heal();
    await supervisor.stop(supervisor.publishers);
    // What other libraries left standing still is not lost yet: they may start afresh. Ours has to come through by itself.
    if (this.#options.client !== "trolleybus") await Promise.all(supervisor.consumers.map((service) => service.restartPolitely()));
    if (!(await untilQuiet(this.#broker, supervisor, this.#stopped.signal)))
      note({ event: "trouble", text: "the queues did not become empty" });
    await supervisor.stop(supervisor.consumers);
    if (this.#full) await drainDeadLetters(this.#broker.direct, note);
    await noteDepths(this.#broker, note);
  }

  get #full(): boolean {
    const { client, control, plain } = this.#options;
    return client === "trolleybus" && control === undefined && !plain;
  }

  async #configs(): Promise<readonly ServiceConfig[]> {
    const { publishers, consumers } = this.#options;
    const names = [
      ...Array.from({ length: consumers }, (_, i) => ({ role: "consumer" as const, name: `consumer-${i + 1}` })),
      ...Array.from({ length: publishers }, (_, i) => ({ role: "publisher" as const, name: `publisher-${i + 1}` })),
    ];
    return await Promise.all(names.map((each, number) => this.#config(each, number)));
  }

  async #config({ role, name }: Pick<ServiceConfig, "role" | "name">, number: number): Promise<ServiceConfig> {
    const { client, control, mix, store, rate } = this.#options;
    const concurrency = mix === "poison" ? POISON_CONCURRENCY : CONCURRENCY;
    // Drawn before anything is waited for, so that the order of drawing is always the same.
    const [networkSeed, seed] = [this.#random.integer(1, 1_000_000), this.#random.integer(1, 1_000_000)];
    const network = await ServiceNetwork.open(this.#broker.addresses(number), networkSeed);
    this.#networks.set(name, network);
    return {
      role,
      name,
      folder: this.folder,
      client,
      control,
      store,
      transport: this.#broker.transportThrough(network.ports),
      seed,
      rate,
      outstanding: OUTSTANDING,
      keys: KEYS,
      concurrency,
      prefetch: 2 * concurrency,
      workMs: WORK_MS,
      workload: this.#full ? "full" : "plain",
    };
  }

  #kinds(): readonly FaultKind[] {
    const { control, mix, transport } = this.#options;
    const only = this.#options.only ?? (control === undefined ? "" : controlNamed(control, transport).only);
    const kinds = mixNamed(mix, this.#broker).filter(({ kind, fullOnly }) => kind.includes(only) && (this.#full || !fullOnly));
    if (kinds.length === 0) throw new Error(`no fault is named like "${only}"`);
    return kinds;
  }

  #scene(supervisor: Supervisor): Scene {
    return {
      random: this.#random.fork(),
      supervisor,
      folder: this.folder,
      networkOf: (service) => this.#networkOf(service),
      wait: (ms) => this.#wait(ms),
      whileEmpty: async (work) => {
        for (const publisher of supervisor.publishers) publisher.send({ command: "pause" });
        try {
          await sleep(1_000);
          if (!(await untilQuiet(this.#broker, supervisor, this.#stopped.signal))) throw new Error("the queues did not become empty");
          await work();
        } finally {
          for (const publisher of supervisor.publishers) publisher.send({ command: "resume" });
        }
      },
    };
  }

  #networkOf(service: SupervisedService): ServiceNetwork {
    const network = this.#networks.get(service.name);
    if (!network) throw new Error(`${service.name} has no network`);
    return network;
  }

  async #wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopped.signal });
  }
}

/** A fault that hits one consumer, where that takes deliveries from the others: it hits those as well. */
function withOthers(entry: LedgerEntry, configs: readonly ServiceConfig[]): LedgerEntry {
  if (entry.event !== "fault") return entry;
  const consumers = configs.filter(({ role }) => role === "consumer").map(({ name }) => name);
  const repeats = Math.max(0, ...entry.hits.filter(({ process }) => consumers.includes(process)).map((hit) => hit.repeats));
  const others = consumers.filter((name) => !entry.hits.some(({ process }) => process === name));
  return repeats === 0 ? entry : { ...entry, hits: [...entry.hits, ...others.map((process) => ({ process, repeats }))] };
}
