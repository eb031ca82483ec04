import { setMaxListeners } from "node:events";
import type { ServiceBusClient, ServiceBusClientOptions } from "@azure/service-bus";
import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { connectionStringOf } from "./address.js";
import type { ServiceBusModule } from "./client.js";
import { connectError, namespaceOf } from "./connect-error.js";
import { type AzureServiceBusError, isNotFound, isTimeout, serviceAnswer, unavailable } from "./errors.js";
import type { ResolvedOptions } from "./options.js";
import { RequestTimeouts } from "./request-timeouts.js";
import { answered, settledBy } from "./time-limit.js";

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** Requests in a row that were not answered in time, after which the connection is taken for dead. */
const MAX_TIMEOUTS = 2;
/** Between two resets: the first must have had its chance. */
const MIN_RESET_PAUSE_MS = 5_000;
/** No entity has this name, so that opening a link to it tells of the connection and the key, and needs nothing to be there. */
const PROBED_ENTITY = "trolleybus.does-this-key-fit";
/** The client's wait between two tries of its own to open a link for receiving; ours, with backoff, come first. */
const CLIENT_RETRY_MS = 1_000;

/**
 * One connection to the namespace. The client opens it when it is first needed and again when it is lost; what it does not notice is a peer that
 * is frozen or cut off: when requests go unanswered, the whole client is replaced.
 */
export class ManagedClient {
  readonly #module: ServiceBusModule;
  readonly #options: ResolvedOptions;
  readonly #name: string;
  readonly #logger: Logger;
  readonly #clientTimeoutMs: number | undefined;
  readonly #requestTimeouts: RequestTimeouts;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(reason: string) => void>();
  #client: ServiceBusClient;
  #timeouts = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #lastReset = Number.NEGATIVE_INFINITY;
  #isUp = false;

  /**
   * @param name shown in the service's diagnostics, and in the log
   * @param clientTimeoutMs after which the client itself gives a request up, where that is not the operation timeout
   */
  constructor(module: ServiceBusModule, options: ResolvedOptions, name: string, logger: Logger, clientTimeoutMs?: number) {
    this.#clientTimeoutMs = clientTimeoutMs;
    this.#module = module;
    this.#options = options;
    this.#requestTimeouts = new RequestTimeouts(options.operationTimeoutMs);
    this.#name = name;
    this.#logger = logger;
    this.#client = this.#make();
    // Every link that waits listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Whatever is to be opened anew is opened on this one. */
  get client(): ServiceBusClient {
    return this.#client;
  }

  get isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the connection begins to close for good. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get requestTimeoutMs(): number {
    return this.#options.operationTimeoutMs;
  }

  /** Aborts when a request that begins now should have been answered. */
  get requestTimeout(): AbortSignal {
    return this.#requestTimeouts.current;
  }

  /** Tells `listener` when the client is replaced. @returns how to leave */
  onReset(listener: (reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Connects and shows the key. Rejects with what cannot pass by itself; what can is tried until `signal` aborts.
   * @throws AzureServiceBusError "configuration", or "unavailable" after `signal`.
   */
  async open(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    let last: AzureServiceBusError | undefined;
    for (let attempt = 0; !stop.aborted; attempt++) {
      last = await this.#probe();
      if (!last) return;
      if (!last.retryable) throw last;
      this.#logger.warn(`${last.message} It is tried again.`, { connection: this.#name });
      await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), stop);
    }
    throw last ?? unavailable("The bus was stopped before it had connected to Azure Service Bus.");
  }

  /**
   * Makes a request, and takes note of whether it is answered.
   * @throws AzureServiceBusError "timeout" when there is no answer in time, else what `request` throws
   */
  async ask<T>(request: () => Promise<T>): Promise<T> {
    const client = this.#client;
    try {
      const answer = await answered(request(), this.requestTimeoutMs);
      this.heard();
      return answer;
    } catch (error) {
      this.failed(error, client);
      throw error;
    }
  }

  /** A request was answered, whatever the answer. */
  heard(): void {
    this.#timeouts = 0;
    this.#heardAt = performance.now();
    this.#isUp = true;
  }

  /**
   * A request failed. Several in a row that were not answered at all end the connection, unless something else was heard while they waited: then what
   * hangs is their links alone, as those do that were on their way when a link was lost, and the connection has sessions to lose.
   */
  failed(error: unknown, sentBy: ServiceBusClient): void {
    if (sentBy !== this.#client) return;
    if (!isTimeout(error)) {
      // What the client has no code for may be a lost connection, of which it knows by itself.
      if (serviceAnswer(error).code !== "GeneralError") this.heard();
    } else if (performance.now() - this.#heardAt >= this.requestTimeoutMs && ++this.#timeouts >= MAX_TIMEOUTS)
      this.reset(`${this.#timeouts} requests in a row were not answered`);
  }

  /** Takes a new client; what the old one holds is let go of. */
  reset(reason: string): void {
    if (this.isClosing || performance.now() - this.#lastReset < MIN_RESET_PAUSE_MS) return;
    this.#lastReset = performance.now();
    this.#timeouts = 0;
    if (this.#isUp) this.#logger.warn(`The connection to Azure Service Bus is made anew: ${reason}.`, { connection: this.#name });
    this.#isUp = false;
    const old = this.#client;
    this.#client = this.#make();
    for (const listener of [...this.#listeners]) listener(reason);
    void old
      .close()
      .catch((error: unknown) => this.#logger.debug(`A client that was replaced did not close: ${serviceAnswer(error).text}`));
  }

  /** Closes for good, at most until `deadline` (a `performance.now()` time). Never rejects. */
  async close(deadline: number): Promise<void> {
    this.#closing.abort();
    this.#listeners.clear();
    await settledBy(deadline, this.#client.close());
  }

  async #probe(): Promise<AzureServiceBusError | undefined> {
    const client = this.#client;
    const sender = client.createSender(PROBED_ENTITY);
    try {
      await answered(sender.createMessageBatch(), this.#options.operationTimeoutMs);
    } catch (error) {
      if (!isNotFound(error)) {
        const told = connectError(error, namespaceOf(this.#options.authority));
        if (told?.retryable) this.#replaceQuietly(client);
        if (told) return told;
      }
    } finally {
      void sender.close().catch(() => {});
    }
    this.heard();
    return undefined;
  }

  // A client whose first connection hangs would let every later try wait for it.
  #replaceQuietly(client: ServiceBusClient): void {
    if (client !== this.#client) return;
    this.#client = this.#make();
    void client.close().catch(() => {});
  }

  #make(): ServiceBusClient {
    const { authority, operationTimeoutMs } = this.#options;
    const options: ServiceBusClientOptions = {
      identifier: this.#name,
      // What failed is tried again by who knows what it was: with the same ids, within the caller's time, while the lock lasts.
      retryOptions: {
        maxRetries: 0,
        timeoutInMs: this.#clientTimeoutMs ?? operationTimeoutMs,
        retryDelayInMs: CLIENT_RETRY_MS,
        maxRetryDelayInMs: CLIENT_RETRY_MS,
      },
    };
    return authority.by === "key"
      ? new this.#module.ServiceBusClient(connectionStringOf(authority.address), options)
      : new this.#module.ServiceBusClient(authority.namespace, authority.credential, options);
  }
}
