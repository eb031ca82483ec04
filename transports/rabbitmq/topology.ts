import type { Channel, ChannelModel } from "amqplib";
import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { closeChannel } from "./close-channel.js";
import type { ManagedConnection } from "./connection.js";
import { RabbitMqError, type ServerAnswer, serverAnswer, textOf, unavailable } from "./errors.js";
import { openedInTime } from "./open-channel.js";
import { answered } from "./time-limit.js";
import { argumentOf, type Difference, describe, differenceIn } from "./topology-difference.js";
import type { BrokerTopology, QueueSpec } from "./topology-plan.js";

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;
/** Failures of the server itself (541 and the like: a cluster that elects a leader) that are tried again. */
const MAX_SERVER_FAILURES = 10;

/** A channel that is kept from one call to the next. */
export interface KeptChannel {
  channel?: Channel | undefined;
}

/**
 * Makes or compares what is wanted, over the connection for publishing. Everything that is wrong is told at once. A connection that goes
 * meanwhile is waited for. @param kept what is done on one channel again and again. @throws RabbitMqError "topology" naming every difference or missing right; "unavailable" when the server keeps failing.
 */
export async function applyTopology(
  connection: ManagedConnection,
  wanted: BrokerTopology,
  mode: "create" | "verify",
  logger: Logger,
  kept?: KeptChannel,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const model = await connection.whenConnected();
    const run = new TopologyRun(model, logger, kept ?? {});
    try {
      await (mode === "create" ? run.create(wanted) : run.verify(wanted));
      run.throwIfWrong(mode);
      return;
    } catch (error) {
      if (error instanceof RabbitMqError && !error.retryable) throw error;
      if (connection.isClosing) throw unavailable("The bus was stopped before its queues were there.", error);
      if (connection.model === model && attempt >= MAX_SERVER_FAILURES)
        throw unavailable(`RabbitMQ keeps failing to make the queues: ${textOf(error)}`, error);
      logger.debug(`The topology in RabbitMQ is tried again: ${textOf(error)}`);
    } finally {
      if (!kept) await run.close();
    }
    await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), connection.closing);
  }
}

/** One walk over the wanted topology. A server that says no closes the channel, so each no costs a channel. */
class TopologyRun {
  readonly #model: ChannelModel;
  readonly #logger: Logger;
  readonly #wrong: string[] = [];
  readonly #kept: KeptChannel;

  constructor(model: ChannelModel, logger: Logger, kept: KeptChannel) {
    this.#model = model;
    this.#logger = logger;
    this.#kept = kept;
  }

  async create(wanted: BrokerTopology): Promise<void> {
    for (const exchange of wanted.exchanges) {
      const no = await this.#ask((channel) => channel.assertExchange(exchange, "fanout", { durable: true }));
      if (no) this.#note(`exchange "${exchange}"`, no, "configure");
    }
    const made = new Set<string>();
    for (const queue of wanted.queues) {
      if (await this.#declare(queue)) made.add(queue.name);
    }
    for (const { exchange, queue } of wanted.bindings) {
      // What could not be made cannot be bound either; it has been noted.
      if (!made.has(queue) && wanted.queues.some(({ name }) => name === queue)) continue;
      const no = await this.#ask((channel) => channel.bindQueue(queue, exchange, ""));
      if (no) this.#note(`binding of queue "${queue}" to exchange "${exchange}"`, no, "write (queue) and read (exchange)");
    }
    for (const { exchange, queue } of wanted.unbindings) {
      const no = await this.#ask((channel) => channel.unbindQueue(queue, exchange, ""));
      if (no && no.code !== 404)
        this.#note(`end of the binding of queue "${queue}" to exchange "${exchange}"`, no, "write (queue) and read (exchange)");
    }
  }

  /** Bindings cannot be seen over AMQP, so they are not compared. */
  async verify(wanted: BrokerTopology): Promise<void> {
    for (const exchange of wanted.exchanges) {
      const missing = await this.#ask((channel) => channel.checkExchange(exchange));
      if (missing) {
        this.#note(`exchange "${exchange}"`, missing, "configure");
        continue;
      }
      // Declaring what is there changes nothing, and is the only way to have it compared.
      const no = await this.#ask((channel) => channel.assertExchange(exchange, "fanout", { durable: true }));
      if (no && no.code !== 403) this.#note(`exchange "${exchange}"`, no, "configure");
    }
    for (const queue of wanted.queues) {
      const missing = await this.#ask((channel) => channel.checkQueue(queue.name));
      if (missing) this.#note(`queue "${queue.name}"`, missing, "configure");
      else await this.#declare(queue, "verify");
    }
  }

  /** @throws RabbitMqError "topology" */
  throwIfWrong(mode: "create" | "verify"): void {
    if (this.#wrong.length === 0) return;
    const list = this.#wrong.map((text) => `\n  - ${text}`).join("");
    throw new RabbitMqError(
      "topology",
      mode === "create"
        ? `What the bus needs cannot be made in RabbitMQ:${list}`
        : `RabbitMQ does not hold what the bus needs (topology: "verify"):${list}\nLet a service with topology: "create" make it, or make it by hand as docs/rabbitmq.md says.`,
      { retryable: false },
    );
  }

  async close(): Promise<void> {
    const { channel } = this.#kept;
    this.#kept.channel = undefined;
    if (channel) await answered(closeChannel(channel)).catch(() => {});
  }

  /** @returns whether the queue is there as wanted. Goes on with what is found until all differences are known. */
  async #declare({ name, arguments: wanted }: QueueSpec, mode: "create" | "verify" = "create"): Promise<boolean> {
    const given: Record<string, string | number | boolean> = { ...wanted };
    const differences: Difference[] = [];
    for (;;) {
      const no = await this.#ask((channel) => channel.assertQueue(name, { durable: true, arguments: given }));
      if (!no) break;
      if (no.code === 403 && mode === "verify") {
        this.#logger.debug(`The arguments of the queue "${name}" cannot be compared without the right to configure it.`);
        break;
      }
      const difference = differenceIn(no);
      if (!difference || differences.some(({ argument }) => argument === difference.argument)) {
        if (differences.length === 0) this.#note(`queue "${name}"`, no, "configure");
        break;
      }
      differences.push({ ...difference, wanted: wanted[difference.argument]?.toString() ?? difference.wanted });
      if (!difference.argument.startsWith("x-")) break;
      if (difference.found === undefined) delete given[difference.argument];
      else given[difference.argument] = argumentOf(difference.found, wanted[difference.argument]);
    }
    if (differences.length > 0) this.#noteDifferences(`queue "${name}"`, differences);
    return differences.length === 0;
  }

  #noteDifferences(what: string, differences: readonly Difference[]): void {
    const order = differences.some(({ argument }) => argument === "x-single-active-consumer")
      ? ' x-single-active-consumer comes from the endpoint\'s option "order", which cannot be changed: give the endpoint another name.'
      : "";
    this.#wrong.push(
      `The ${what} is there in another form: ${differences.map(describe).join("; ")}. RabbitMQ never changes the arguments of what exists.${order} ` +
        "Take another name, or empty and delete it and start again.",
    );
  }

  #note(what: string, answer: ServerAnswer, right: string): void {
    const difference = differenceIn(answer);
    if (difference) this.#noteDifferences(what, [difference]);
    else if (answer.code === 404) this.#wrong.push(`The ${what} is not there (${answer.text}).`);
    else if (answer.code === 403) {
      this.#wrong.push(
        `The ${what}: the right "${right}" is missing (${answer.text}). Grant it, or make the topology with another user and set topology: "none".`,
      );
    } else this.#wrong.push(`The ${what}: ${answer.text}.`);
  }

  /** @returns the server's no (403, 404, 405, 406), or `undefined` for a yes. @throws everything else, which may pass. */
  async #ask(operation: (channel: Channel) => Promise<unknown>): Promise<ServerAnswer | undefined> {
    const channel = this.#kept.channel ?? (await this.#open());
    try {
      await answered(operation(channel));
      return undefined;
    } catch (error) {
      this.#kept.channel = undefined;
      // One that is open all the same, since the server has not answered, is nobody's any more.
      void closeChannel(channel);
      const answer = serverAnswer(error);
      if (answer && answer.code >= 403 && answer.code <= 406) return answer;
      throw error;
    }
  }

  async #open(): Promise<Channel> {
    const channel = await openedInTime(this.#model, () => this.#model.createChannel());
    // Without this listener a channel that the server closes would take the connection with it.
    channel.on("error", () => {});
    channel.once("close", () => {
      if (this.#kept.channel === channel) this.#kept.channel = undefined;
    });
    this.#kept.channel = channel;
    return channel;
  }
}
