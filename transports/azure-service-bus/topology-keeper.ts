import type { Logger } from "../../src/contracts/logger.js";
import type { EndpointPlan, TopologyPlan } from "../../src/contracts/transport.js";
import { delay } from "../../src/util/delay.js";
import type { ManagedClient } from "./connection.js";
import { textOf } from "./errors.js";
import type { Names } from "./mapping.js";
import { type Administration, applyTopology, type TopologyMode } from "./topology.js";
import { type NamespaceTopology, topologyOf } from "./topology-plan.js";

/** How often the subscriptions of what is received are made sure of: nothing tells an endpoint that they are gone. */
const REFRESH_MS = 20_000;
/** With many types more rarely, so that requests of the administration, which are dear, do not throttle the messages. */
const REFRESH_MS_A_TYPE = 2_000;
/**
 * After a topic was deleted, sending to it waits so long: its endpoints, wherever they run, have then seen it and subscribed again. Sent
 * earlier, a message would be confirmed and reach nobody.
 */
const TOPIC_GRACE_MS = REFRESH_MS * 1.25 + 1_000;

/** Remembers what was provided, and brings it back when somebody deletes it. Only what this bus was told to create. */
export class TopologyKeeper {
  readonly administration: Administration;
  readonly #connection: ManagedClient;
  readonly #names: Names;
  readonly #lockDurationMs: number;
  readonly #logger: Logger;
  readonly #events = new Set<string>();
  readonly #endpoints = new Map<string, EndpointPlan>();
  readonly #subscribed = new Map<string, Set<string>>();
  readonly #received = new Set<string>();
  readonly #repairs = new Map<string, Promise<boolean>>();
  #refreshing: NodeJS.Timeout | undefined;

  constructor(administration: Administration, connection: ManagedClient, names: Names, lockDurationMs: number, logger: Logger) {
    this.administration = administration;
    this.#connection = connection;
    this.#names = names;
    this.#lockDurationMs = lockDurationMs;
    this.#logger = logger;
  }

  /** @throws AzureServiceBusError "topology" or "unavailable" */
  async provision(plan: TopologyPlan, mode: "create" | "verify"): Promise<void> {
    for (const { name, subscribed } of plan.endpoints) this.remember(name, subscribed);
    await this.#apply(topologyOf(plan, this.#names, this.#lockDurationMs), mode);
    if (mode !== "create") return;
    for (const type of plan.events) this.#events.add(type);
    for (const endpoint of plan.endpoints) this.#endpoints.set(endpoint.name, endpoint);
  }

  /** From now on the subscriptions of this endpoint are looked after. */
  received(endpoint: string): void {
    this.#received.add(endpoint);
    this.#refreshing ??= this.#refreshLater();
  }

  stop(): void {
    clearTimeout(this.#refreshing);
    this.#received.clear();
  }

  /** Notes the types that an endpoint subscribes to. */
  remember(endpoint: string, subscribed: readonly string[]): void {
    const types = this.#subscribed.get(endpoint) ?? new Set();
    for (const type of subscribed) types.add(type);
    if (types.size > 0) this.#subscribed.set(endpoint, types);
  }

  /** The types that an endpoint is known to subscribe to. */
  subscribedTypes(endpoint: string): readonly string[] {
    return [...(this.#subscribed.get(endpoint) ?? [])];
  }

  /** Makes the queues and subscriptions of an endpoint again. @returns `false` when this bus did not create them. @throws AzureServiceBusError */
  repairEndpoint(endpoint: string): Promise<boolean> {
    const plan = this.#endpoints.get(endpoint);
    if (!plan) return Promise.resolve(false);
    return this.#once(
      `endpoint ${endpoint}`,
      topologyOf({ events: [], endpoints: [{ ...plan, unsubscribed: [] }] }, this.#names, this.#lockDurationMs),
    );
  }

  /** Resolves when sending to `topic`, which the service did not know, may go on. */
  async repairTopic(topic: string): Promise<void> {
    const isOurs = (type: string): boolean => this.#names.topic(type) === topic;
    const events = [...this.#events].filter(isOurs);
    const endpoints = [...this.#endpoints.values()]
      .filter((endpoint) => endpoint.subscribed.some(isOurs))
      .map((plan) => ({ ...plan, unsubscribed: [] }));
    if (events.length === 0 && endpoints.length === 0) return;
    this.#logger.warn(`The topic "${topic}" is not there in Azure Service Bus any more. Messages to it wait until it is made anew.`);
    await delay(TOPIC_GRACE_MS, this.#connection.closing);
    if (this.#connection.isClosing) return;
    await this.#once(`topic ${topic}`, topologyOf({ events, endpoints }, this.#names, this.#lockDurationMs)).catch((error: unknown) => {
      this.#logger.error(`The topic "${topic}" cannot be made anew: ${textOf(error)}`);
    });
  }

  #refreshLater(): NodeJS.Timeout {
    const types = this.#receivedPlans.reduce((sum, { subscribed, unsubscribed }) => sum + subscribed.length + unsubscribed.length, 0);
    const ms = Math.max(REFRESH_MS, types * REFRESH_MS_A_TYPE);
    return setTimeout(() => void this.#refresh(), ms * (0.75 + Math.random() / 2)).unref();
  }

  get #receivedPlans(): readonly EndpointPlan[] {
    return [...this.#received].map((name) => this.#endpoints.get(name)).filter((plan) => plan !== undefined);
  }

  async #refresh(): Promise<void> {
    const wanted = topologyOf({ events: [], endpoints: this.#receivedPlans }, this.#names, this.#lockDurationMs);
    if (wanted.subscriptions.length + wanted.unsubscribed.length > 0) {
      await this.#once("refresh", { ...wanted, queues: [] }).catch((error: unknown) => {
        this.#logger.warn(`The subscriptions of this service cannot be made sure of: ${textOf(error)}`);
      });
    }
    if (this.#received.size > 0 && !this.#connection.isClosing) this.#refreshing = this.#refreshLater();
  }

  #once(key: string, topology: NamespaceTopology): Promise<boolean> {
    const running = this.#repairs.get(key);
    if (running) return running;
    const repair = this.#apply(topology, "restore")
      .then(() => true)
      .finally(() => this.#repairs.delete(key));
    this.#repairs.set(key, repair);
    return repair;
  }

  #apply(topology: NamespaceTopology, mode: TopologyMode): Promise<void> {
    return applyTopology(this.administration, this.#connection, topology, mode, this.#logger);
  }
}
