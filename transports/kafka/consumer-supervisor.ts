import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { settledBy } from "../../src/util/time-limit.js";
import { DriverError } from "./driver.js";
import type { ConsumerHandlers, DriverConsumer } from "./driver-consumer.js";
import { textOf } from "./errors.js";

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** One that lived shorter counts as a failed try. */
const STEADY_AFTER_MS = 30_000;
/** One that does not come to an end is left to itself, without its connections. */
const STOP_MS = 5_000;
const LOOK_EVERY_MS = 5_000;

/** What the supervisor asks of its reader. */
export interface SupervisorOwner extends Omit<ConsumerHandlers, "ended"> {
  /** Makes a member that is not connected yet. `passesUndecodable`: the last one ended for what may be a batch that cannot be read. */
  make(passesUndecodable: boolean): Promise<DriverConsumer>;
  /** The member is gone, or could not be made. */
  down(error: DriverError): void;
}

/** Keeps one member of a group alive: made anew, for ever, with backoff and jitter, when it ended or stands still. */
export class ConsumerSupervisor {
  readonly #owner: SupervisorOwner;
  readonly #group: string;
  readonly #stallMs: number;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #member: DriverConsumer | undefined;
  #run: Promise<void> | undefined;
  #passesUndecodable = false;

  /** @param stallMs a member that has not joined after so long, or not heard of the broker, is made anew */
  constructor(owner: SupervisorOwner, group: string, stallMs: number, logger: Logger) {
    this.#owner = owner;
    this.#group = group;
    this.#stallMs = stallMs;
    this.#logger = logger;
  }

  get member(): DriverConsumer | undefined {
    return this.#member;
  }

  start(): void {
    this.#run = this.#supervise();
  }

  /** Has another member made, which reads what is to be read now. */
  renew(reason: string): void {
    this.#end?.(new DriverError("unavailable", reason));
  }

  /** Leaves the group; cuts off what has not ended by `deadline` (a `performance.now()` time). Never rejects. */
  async stop(deadline: number): Promise<void> {
    this.#stopping.abort();
    const member = this.#member;
    this.#end?.(new DriverError("unavailable", "stopped"));
    await settledBy(deadline, Promise.all([this.#run]));
    member?.cut();
  }

  #end: ((error: DriverError) => void) | undefined;

  async #supervise(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted; ) {
      const begun = performance.now();
      const error = await this.#live();
      if (this.#stopping.signal.aborted) return;
      // What has no name in the protocol comes from reading what the broker sent.
      if (error.type === undefined && (error.kind === "unknown" || error.kind === "invalid")) this.#passesUndecodable = true;
      this.#logger.warn(`Receiving in the group "${this.#group}" stopped: ${textOf(error)}. It is begun anew.`);
      failures = performance.now() - begun >= STEADY_AFTER_MS ? 0 : failures + 1;
      if (failures > 1) await delay(backoffWithHalfJitter(failures - 2, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#stopping.signal);
    }
  }

  /** @returns why it ended */
  async #live(): Promise<DriverError> {
    let member: DriverConsumer | undefined;
    let error = new DriverError("unavailable", "stopped");
    try {
      member = await this.#owner.make(this.#passesUndecodable);
      if (!this.#stopping.signal.aborted) {
        this.#member = member;
        error = await this.#watch(member);
      }
    } catch (cause) {
      error = cause instanceof DriverError ? cause : new DriverError("unavailable", textOf(cause), { cause });
    }
    this.#end = undefined;
    this.#member = undefined;
    // Before it leaves the group, which may take long: what it had may be another's by then.
    if (!this.#stopping.signal.aborted) this.#owner.down(error);
    if (member) await this.#dispose(member);
    return error;
  }

  async #watch(member: DriverConsumer): Promise<DriverError> {
    const madeAt = performance.now();
    let hasJoined = false;
    let timer: NodeJS.Timeout | undefined;
    const ended = new Promise<DriverError>((resolve) => {
      this.#end = resolve;
      timer = setInterval(() => {
        const silent = performance.now() - member.lastSignOfLife;
        if ((hasJoined ? silent : performance.now() - madeAt) > this.#stallMs) {
          resolve(new DriverError("timeout", `nothing was heard of the brokers for ${Math.round(silent / 1000)} s`));
        }
      }, LOOK_EVERY_MS);
    });
    const isCurrent = (): boolean => this.#member === member;
    const owner = this.#owner;
    const started = member.start({
      joined: (assignment) => {
        hasJoined = true;
        if (isCurrent()) owner.joined(assignment);
      },
      rebalancing: () => {
        if (isCurrent()) owner.rebalancing();
      },
      batch: (batch) => (isCurrent() ? owner.batch(batch) : undefined),
      passed: (topic, partition, from, to) => {
        if (isCurrent()) owner.passed(topic, partition, from, to);
      },
      ended: (error) => this.#end?.(error),
    });
    try {
      return await Promise.race([ended, started.then(() => ended)]);
    } finally {
      clearInterval(timer);
      started.catch(() => {});
    }
  }

  async #dispose(member: DriverConsumer): Promise<void> {
    await settledBy(performance.now() + STOP_MS, member.stop());
    member.cut();
  }
}
