import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../support/random.js";
import type { Client, ClientModule } from "./clients/client.js";
import { loadClient } from "./clients/index.js";
import { checksum, expectation, ORDERED, Order, type Plan, Step, Task, WORK } from "./messages.js";
import { runService, type Service } from "./service.js";

const TICK_MS = 20;
/** A message that was not confirmed is sent again, with its id, so often at most: then its publisher gives up, as real ones do. */
const MAX_TRIES = 20;
/** Time for all innocent ones to begin, and for none of them to end. */
const KILL_AFTER_MS = 300;
const INNOCENT_MS = 1_000;
/** How long a stopping publisher waits for what it has outstanding. */
const STOP_WAIT_MS = 30_000;

class Publishing {
  acknowledged = 0;
  outstanding = 0;
  paused = false;
  stopping = false;
  readonly #service: Service;
  readonly #client: Client;
  readonly #module: ClientModule;
  readonly #random: Random;
  readonly #freeKeys: string[];
  readonly #prefix: string;
  #count = 0;
  #due = 0;

  constructor(service: Service, client: Client, module: ClientModule) {
    const { name, seed, keys } = service.config;
    this.#service = service;
    this.#client = client;
    this.#module = module;
    this.#random = new Random(seed);
    this.#prefix = `${name}-${process.pid}-${Date.now().toString(36)}`;
    this.#freeKeys = Array.from({ length: keys }, (_, index) => `${this.#prefix}-key-${index}`);
  }

  /** The innocent ones are being handled when the last one kills their process. */
  poison(how: "exit" | "out-of-memory", innocents: number): void {
    for (let i = 0; i < innocents; i++) void this.publish(new Task(this.#nextId(), null, { kind: "work", ms: INNOCENT_MS }, ""));
    void this.publish(new Task(this.#nextId(), null, { kind: "kill", how, afterMs: KILL_AFTER_MS }, ""));
  }

  /** One message that takes long. */
  async long(ms: number): Promise<void> {
    await this.publish(new Task(this.#nextId(), null, { kind: "work", ms }, ""));
  }

  /** Publishes what is due, unless too much is outstanding: then the rate falls, as it does when callers await. */
  tick(): void {
    if (this.paused) return;
    const { rate, outstanding } = this.#service.config;
    this.#due = Math.min(this.#due + (rate * TICK_MS) / 1_000, outstanding);
    for (; this.#due >= 1 && this.outstanding < outstanding; this.#due--) void this.#publishOne();
  }

  async publish(message: Task | Step | Order): Promise<void> {
    this.outstanding++;
    try {
      await this.#untilConfirmed(message);
    } finally {
      this.outstanding--;
    }
  }

  #nextId(): string {
    return `${this.#prefix}-${this.#count++}`;
  }

  async #publishOne(): Promise<void> {
    const random = this.#random;
    const key = this.#service.config.workload === "full" && random.chance(0.3) ? this.#freeKeys.pop() : undefined;
    if (key !== undefined) {
      // One key's messages wait for each other: that is what order is promised for.
      await this.publish(new Step(this.#nextId(), key, this.#plan({ echoes: false }), this.#padding()));
      this.#freeKeys.unshift(key);
      return;
    }
    const id = this.#nextId();
    const command = this.#service.config.workload === "full" && random.chance(0.2);
    const message = new (command ? Order : Task)(id, null, this.#plan({ echoes: true }), this.#padding());
    const copies = random.chance(0.01) ? 2 : 1;
    await Promise.all(Array.from({ length: copies }, () => this.publish(message)));
  }

  /** Two endpoints get the message of a key, and both would echo it: so those have no echoes. */
  #plan({ echoes }: { readonly echoes: boolean }): Plan {
    const random = this.#random;
    const { workload, workMs } = this.#service.config;
    const ms = random.chance(0.02) ? random.integer(100, 500) : random.integer(0, workMs);
    if (workload === "plain") return { kind: "work", ms };
    return random
      .pickWeighted<{ readonly weight: number; readonly plan: () => Plan }>(
        [
          { weight: 88, plan: () => ({ kind: "work", ms }) },
          { weight: echoes ? 5 : 0, plan: () => ({ kind: "echo", ms, echoId: `${this.#nextId()}-echo` }) },
          { weight: 5, plan: () => ({ kind: "fail", times: random.integer(1, 4) }) },
          { weight: 2, plan: () => ({ kind: "poison", retryable: random.chance(0.5) }) },
        ],
        (choice) => choice.weight,
      )
      .plan();
  }

  #padding(): string {
    const random = this.#random;
    return "x".repeat(random.chance(0.01) ? 100_000 : random.integer(0, 1_000));
  }

  async #untilConfirmed(message: Task | Step | Order): Promise<void> {
    const persistent = message.key !== null || this.#random.chance(0.8);
    for (let tries = 1; ; tries++) {
      const confirmed = await this.#tryOnce(message);
      if (confirmed || this.stopping || !persistent || tries >= MAX_TRIES) return;
      await sleep(Math.min(2_000, 50 * 2 ** tries));
    }
  }

  async #tryOnce(message: Task | Step | Order): Promise<boolean> {
    const { ledger } = this.#service;
    const { id } = message;
    ledger.write({
      event: "attempt",
      id,
      checksum: checksum(message),
      ...expectation(message.plan),
      ...(message.key === null ? {} : { key: message.key }),
      endpoints: message instanceof Step ? [ORDERED, WORK] : [WORK],
    });
    try {
      await this.#client.publish(message);
    } catch (error) {
      ledger.write({ event: "outcome", id, ...this.#module.failureOf(error) });
      return false;
    }
    ledger.write({ event: "outcome", id, outcome: "acknowledged" });
    this.acknowledged++;
    return true;
  }
}

/** A service that publishes all kinds of messages at a steady rate, and writes down what it tried and what it was told. */
runService(async (service) => {
  const module = await loadClient(service.config.client);
  const client = await module.openPublisher(service.config);
  const work = new Publishing(service, client, module);
  service.onCommand((command) => {
    if (command.command === "poison") work.poison(command.how, command.innocents);
    else if (command.command === "long") void work.long(command.ms);
    else work.paused = command.command === "pause";
  });
  const ticker = setInterval(() => work.tick(), TICK_MS);
  return {
    status: () => ({
      status: work.paused ? "paused" : "running",
      acknowledged: work.acknowledged,
      outstanding: work.outstanding,
      handled: 0,
      running: 0,
    }),
    stop: async () => {
      clearInterval(ticker);
      work.stopping = true;
      const deadline = performance.now() + STOP_WAIT_MS;
      while (work.outstanding > 0 && performance.now() < deadline) await sleep(20);
      await client.stop();
    },
  };
});
