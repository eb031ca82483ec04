import { randomInt } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { ChannelModel } from "amqplib";
import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { AmqpClient } from "./client.js";
import { connectError, isUnexplained, mistakeInServer, nodeOf } from "./connect-error.js";
import { RabbitMqError, serverAnswer, textOf, unavailable } from "./errors.js";
import { whyNotOpened } from "./open-refusal.js";
import type { ResolvedOptions } from "./options.js";
import { settledBy } from "./time-limit.js";
import type { Address } from "./url.js";

/** What a user of a {@link ManagedConnection} is told. None of these may throw. */
export interface ConnectionListener {
  connected(model: ChannelModel): void;
  disconnected(reason: string): void;
  blocked?(reason: string): void;
  unblocked?(): void;
}

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** A connection that lived shorter counts as a failed try, so that one that is closed as soon as it opens does not make a hot loop. */
const STEADY_AFTER_MS = 5_000;

/** One connection that comes back by itself, for ever, with backoff and jitter, once it has been open. */
export class ManagedConnection {
  readonly #client: AmqpClient;
  readonly #options: ResolvedOptions;
  readonly #name: string;
  readonly #logger: Logger;
  readonly #listeners = new Set<ConnectionListener>();
  readonly #closing = new AbortController();
  #live: LiveConnection | undefined;
  #down = "not connected yet";
  /** Where it is tried next. Connections begin with different nodes: the first of the list would have those of all processes, and lead their queues. */
  #next: number;
  #failedTries = 0;
  #run: Promise<void> | undefined;

  /** @param name shown in the management page, and in the log. */
  constructor(client: AmqpClient, options: ResolvedOptions, name: string, logger: Logger) {
    this.#client = client;
    this.#options = options;
    this.#next = randomInt(options.addresses.length);
    this.#name = name;
    this.#logger = logger;
    // Every endpoint that waits for the connection listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** The open connection, or `undefined` while there is none. */
  get model(): ChannelModel | undefined {
    return this.#live?.model;
  }

  /** Why there is no connection. */
  get downReason(): string {
    return this.#down;
  }

  /** Whether `model` is the connection that is open, and is to stay open. */
  isUsable(model: ChannelModel): boolean {
    return this.#live?.model === model && !this.isClosing;
  }

  get isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the connection begins to close for good. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Tells `listener` what happens from now on, and at once when the connection is open. @returns how to leave */
  listen(listener: ConnectionListener): () => void {
    this.#listeners.add(listener);
    if (this.#live) listener.connected(this.#live.model);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Connects, then supervises. Rejects with what cannot pass by itself; what can is tried until `signal` aborts.
   * @throws RabbitMqError "configuration", or "unavailable" after `signal`.
   */
  async open(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    let last: RabbitMqError | undefined;
    for (let attempt = 0; !stop.aborted; attempt++) {
      const result = await this.#connectToAny(stop);
      if (result.live) {
        this.#run = this.#supervise(result.live);
        return;
      }
      last = result.error;
      if (!last.retryable) throw last;
      this.#down = last.message;
      this.#logger.warn(`${last.message} It is tried again.`, { connection: this.#name });
      await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), stop);
    }
    throw last ?? unavailable("The bus was stopped before it had connected to RabbitMQ.");
  }

  /** Resolves with the open connection. @throws RabbitMqError "unavailable" when it is closed for good first, or `cut` aborts. */
  whenConnected(cut: AbortSignal = this.closing): Promise<ChannelModel> {
    if (this.#live) return Promise.resolve(this.#live.model);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#listeners.delete(listener);
        this.closing.removeEventListener("abort", aborted);
        cut.removeEventListener("abort", aborted);
      };
      const aborted = (): void => {
        leave();
        reject(
          unavailable(this.isClosing ? "The connection to RabbitMQ is closed." : `There is no connection to RabbitMQ now: ${this.#down}.`),
        );
      };
      const listener: ConnectionListener = {
        connected: (model) => {
          leave();
          resolve(model);
        },
        disconnected: () => {},
      };
      if (this.isClosing || cut.aborted) return aborted();
      this.closing.addEventListener("abort", aborted, { once: true });
      cut.addEventListener("abort", aborted, { once: true });
      this.#listeners.add(listener);
    });
  }

  /** Cuts the connection off, without ceremony, so that it is made anew: for a server that no longer answers. */
  reset(reason: string): void {
    this.#live?.cut(reason);
  }

  /** Closes for good; cuts off what has not closed by `deadline` (a `performance.now()` time). Never rejects. */
  async close(deadline: number): Promise<void> {
    const live = this.#live;
    this.#closing.abort();
    if (live) await settledBy(deadline, Promise.race([live.model.close(), live.closed]));
    live?.cut("closed by the bus");
    await this.#run;
  }

  async #supervise(first: LiveConnection): Promise<void> {
    let live: LiveConnection | undefined = first;
    while (live) {
      const openedAt = performance.now();
      this.#live = live;
      for (const listener of [...this.#listeners]) listener.connected(live.model);
      this.#down = await live.closed;
      // amqplib ends the socket, which waits for a peer that may never answer: until then it would stay open, and keep the process from ending.
      live.cut(this.#down);
      this.#live = undefined;
      for (const listener of [...this.#listeners]) listener.disconnected(this.#down);
      if (performance.now() - openedAt >= STEADY_AFTER_MS) this.#failedTries = 0;
      else this.#failedTries++;
      if (this.isClosing) return;
      this.#logger.warn(`The connection to RabbitMQ is lost: ${this.#down}. It is made anew.`, { connection: this.#name });
      live = await this.#reconnect();
    }
  }

  async #reconnect(): Promise<LiveConnection | undefined> {
    while (!this.isClosing) {
      await delay(backoffWithHalfJitter(this.#failedTries, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#closing.signal);
      if (this.isClosing) return undefined;
      const { live, error } = await this.#connectToAny(this.#closing.signal);
      if (live) {
        this.#logger.info("The connection to RabbitMQ is back.", { connection: this.#name });
        return live;
      }
      this.#failedTries++;
      if (this.isClosing) return undefined;
      this.#down = error.message;
      // What cannot pass by itself is told each time: credentials may be rotated, a virtual host restored, by somebody who reads it.
      this.#logger.warn(`${error.message} It is tried again.`, { connection: this.#name });
      for (const listener of [...this.#listeners]) listener.disconnected(error.message);
    }
    return undefined;
  }

  /** Tries each node once, beginning after the one that was tried last. What may pass outweighs what cannot. */
  async #connectToAny(signal: AbortSignal): Promise<{ live: LiveConnection; error?: never } | { live?: never; error: RabbitMqError }> {
    const { addresses } = this.#options;
    let worst: RabbitMqError | undefined;
    for (let tried = 0; tried < addresses.length && !signal.aborted; tried++) {
      const address = addresses[this.#next++ % addresses.length];
      if (!address) break;
      try {
        return { live: await this.#connectTo(address, signal) };
      } catch (cause) {
        const answer = isUnexplained(cause) ? await whyNotOpened(address, this.#options, signal) : undefined;
        const error = cause instanceof RabbitMqError ? cause : connectError(cause, address, answer);
        if (worst === undefined || error.retryable) worst = error;
      }
    }
    return { error: worst ?? unavailable("The connection to RabbitMQ was closed before it was open.") };
  }

  async #connectTo(address: Address, signal: AbortSignal): Promise<LiveConnection> {
    const { tls, heartbeatSeconds, connectTimeoutMs } = this.#options;
    const socket = new AbortController();
    const give = (): void => socket.abort();
    signal.addEventListener("abort", give, { once: true });
    // amqplib's own limit is one of silence, which a server that answers bit by bit never reaches.
    const timer = setTimeout(give, connectTimeoutMs);
    try {
      const model = await this.#client.connect(
        {
          protocol: address.secure ? "amqps" : "amqp",
          hostname: address.host,
          port: address.port,
          username: address.username,
          password: address.password,
          vhost: encodeURIComponent(address.virtualHost),
          heartbeat: heartbeatSeconds,
        },
        {
          noDelay: true,
          keepAlive: true,
          timeout: connectTimeoutMs,
          clientProperties: { connection_name: this.#name },
          // Node's sockets take a signal that destroys them: the one public way to get rid of a server that does not answer.
          ...{ signal: socket.signal },
          ...tls.connectOptions,
        },
      );
      const live = new LiveConnection(model, socket);
      this.#attach(model);
      const mistake = mistakeInServer(model.connection.serverProperties, address);
      if (mistake || signal.aborted) {
        live.cut("not wanted");
        throw mistake ?? unavailable(`The connection to RabbitMQ at ${nodeOf(address)} was closed before it was open.`);
      }
      return live;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", give);
    }
  }

  #attach(model: ChannelModel): void {
    // Without this listener the loss of a connection would end the process.
    model.on("error", (error) => this.#logger.debug(`RabbitMQ connection: ${reasonOf(error)}`, { connection: this.#name }));
    model.on("handler-error", (error, event) => {
      this.#logger.error(`A listener of the RabbitMQ connection failed on "${event}": ${textOf(error)}`, { connection: this.#name });
    });
    model.on("blocked", (reason) => {
      for (const listener of [...this.#listeners]) listener.blocked?.(reason);
    });
    model.on("unblocked", () => {
      for (const listener of [...this.#listeners]) listener.unblocked?.();
    });
  }
}

/** One connection while it lives. */
class LiveConnection {
  readonly model: ChannelModel;
  /** Resolves with the reason when it is gone. */
  readonly closed: Promise<string>;
  readonly #socket: AbortController;
  #isClosed: (reason: string) => void = () => {};

  constructor(model: ChannelModel, socket: AbortController) {
    this.model = model;
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      this.#isClosed = resolve;
    });
    let reason = "closed by the server or the network";
    model.on("error", (error) => {
      reason = reasonOf(error);
    });
    model.once("close", (error) => this.#isClosed(error ? reasonOf(error) : reason));
  }

  cut(reason: string): void {
    this.#isClosed(reason);
    this.#socket.abort();
  }
}

function reasonOf(error: unknown): string {
  return serverAnswer(error)?.text ?? textOf(error);
}
