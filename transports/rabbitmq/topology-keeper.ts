import type { Logger } from "../../src/contracts/logger.js";
import type { EndpointPlan, TopologyPlan } from "../../src/contracts/transport.js";
import { delay } from "../../src/util/delay.js";
import type { ManagedConnection } from "./connection.js";
import { textOf } from "./errors.js";
import type { Names } from "./mapping.js";
import { applyTopology, type KeptChannel } from "./topology.js";
import { type BrokerTopology, topologyOf } from "./topology-plan.js";

/** How often the exchanges and bindings of what is received are made sure of: nothing tells a consumer that they are gone. */
const REFRESH_MS = 5_000;
/**
 * After an exchange was deleted, publishing to it waits so long: its consumers, wherever they run, have then seen it and bound their queues
 * again. Published earlier, a message would be confirmed and reach nobody.
 */
const EXCHANGE_GRACE_MS = 2 * REFRESH_MS + 1_000;

/** Remembers what was provided, and brings it back when somebody deletes it. Only what this bus was told to create. */
export class TopologyKeeper {
  readonly #connection: ManagedConnection;
  readonly #names: Names;
  readonly #logger: Logger;
  readonly #events = new Set<string>();
  readonly #endpoints = new Map<string, EndpointPlan>();
  readonly #received = new Set<string>();
  readonly #repairs = new Map<string, Promise<boolean>>();
  /** For looking after the bindings, which is done every few seconds. */
  readonly #refreshChannel: KeptChannel = {};
  #refreshing: NodeJS.Timeout | undefined;

  constructor(connection: ManagedConnection, names: Names, logger: Logger) {
    this.#connection = connection;
    this.#names = names;
    this.#logger = logger;
  }

  /** @throws RabbitMqError "topology" or "unavailable" */
  async provision(plan: TopologyPlan, mode: "create" | "verify"): Promise<void> {
    await applyTopology(this.#connection, topologyOf(plan, this.#names), mode, this.#logger);
    if (mode !== "create") return;
    for (const type of plan.events) this.#events.add(type);
    for (const endpoint of plan.endpoints) this.#endpoints.set(endpoint.name, endpoint);
  }

  /** From now on the bindings of this endpoint are looked after. */
  received(endpoint: string): void {
    this.#received.add(endpoint);
    this.#refreshing ??= this.#refreshLater();
  }

  /** Makes the queues and bindings of an endpoint again. @returns `false` when this bus did not create them. @throws RabbitMqError */
  repairEndpoint(endpoint: string): Promise<boolean> {
    const plan = this.#endpoints.get(endpoint);
    if (!plan) return Promise.resolve(false);
    return this.#once(`endpoint ${endpoint}`, topologyOf({ events: [], endpoints: [plan] }, this.#names));
  }

  /** Resolves when publishing to `exchange`, which the broker did not know, may go on. */
  async repairExchange(exchange: string): Promise<void> {
    const isOurs = (type: string): boolean => this.#names.exchange(type) === exchange;
    const events = [...this.#events].filter(isOurs);
    const endpoints = [...this.#endpoints.values()].filter((endpoint) => endpoint.subscribed.some(isOurs));
    this.#logger.warn(`The exchange "${exchange}" is not there in RabbitMQ. Messages to it wait until it is made anew.`);
    await delay(EXCHANGE_GRACE_MS, this.#connection.closing);
    if (events.length === 0 && endpoints.length === 0) return;
    await this.#once(`exchange ${exchange}`, topologyOf({ events, endpoints }, this.#names)).catch((error: unknown) => {
      this.#logger.error(`The exchange "${exchange}" cannot be made anew: ${textOf(error)}`);
    });
  }

  stop(): void {
    clearTimeout(this.#refreshing);
    this.#received.clear();
  }

  #once(key: string, topology: BrokerTopology, kept?: KeptChannel): Promise<boolean> {
    const running = this.#repairs.get(key);
    if (running) return running;
    const repair = applyTopology(this.#connection, topology, "create", this.#logger, kept)
      .then(() => true)
      .finally(() => this.#repairs.delete(key));
    this.#repairs.set(key, repair);
    return repair;
  }

  #refreshLater(): NodeJS.Timeout {
    return setTimeout(() => void this.#refresh(), REFRESH_MS).unref();
  }

  async #refresh(): Promise<void> {
    const plans = [...this.#received].map((name) => this.#endpoints.get(name)).filter((plan) => plan !== undefined);
    const { exchanges, bindings } = topologyOf({ events: [], endpoints: plans }, this.#names);
    if (this.#connection.model && bindings.length > 0) {
      await this.#once("refresh", { exchanges, queues: [], bindings, unbindings: [] }, this.#refreshChannel).catch((error: unknown) => {
        if (this.#received.size === 0 || this.#connection.isClosing) return;
        this.#logger.warn(`The bindings of this service cannot be made sure of: ${textOf(error)}`);
      });
    }
    if (this.#received.size > 0 && !this.#connection.isClosing) this.#refreshing = this.#refreshLater();
  }
}
