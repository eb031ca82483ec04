import type {
  DeliverySink,
  OutgoingMessage,
  Receiver,
  ReceiveSource,
  SendResult,
  TopologyPlan,
  Transport,
  TransportCapabilities,
  TransportHost,
} from "../../src/contracts/transport.js";
import type { Broker, Namespace } from "./broker.js";
import { DeadLetterVisit } from "./dead-letter-visit.js";
import { MemoryTransportError } from "./errors.js";
import type { EndpointQueue } from "./queue.js";
import { MemoryReceiver } from "./receiver.js";
import { refuseAll, sendAll } from "./sender.js";
import { createTopology, orderDifference, verifyTopology } from "./topology.js";

const ROOM_FOR_A_FAILURE = 8 * 1024;

const CAPABILITIES: TransportCapabilities = Object.freeze({
  durable: false,
  order: "endpoint",
  settlesIndividually: true,
  countsStarts: false,
  keeps: "until-settled",
  maxHoldMs: Number.POSITIVE_INFINITY,
  maxMessageBytes: 128 * 1024 * 1024 - ROOM_FOR_A_FAILURE,
  maxNameLength: 255,
});

/** Well within the 30 s that the port allows. */
const REPORT_INTERVAL_MS = 10_000;

interface OpenConnection {
  readonly host: TransportHost;
  readonly namespace: Namespace;
  readonly heartbeat: NodeJS.Timeout;
}

/** One bus's connection to a {@link Broker}. What is kept is in the broker; the connection knows which receivers are its own. */
export class MemoryConnection implements Transport {
  readonly name = "memory";
  readonly capabilities: TransportCapabilities = CAPABILITIES;
  readonly #broker: Broker;
  readonly #receivers = new Set<MemoryReceiver>();
  /** The endpoints that it receives from, or did: what it reports on. */
  readonly #endpoints = new Map<string, EndpointQueue>();
  /** Endpoints whose many dead letters the log has been told about. */
  readonly #warned = new Set<EndpointQueue>();
  #open: OpenConnection | undefined;
  #wasOpened = false;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  share(): Transport {
    return new MemoryConnection(this.#broker);
  }

  async open(host: TransportHost, signal: AbortSignal): Promise<void> {
    if (this.#wasOpened) {
      const text = "This connection of the memory transport has been opened before, and serves one bus, once.";
      throw new MemoryTransportError("configuration", `${text} Take a new one by share() for each bus.`, false);
    }
    if (signal.aborted) throw new MemoryTransportError("timeout", "Opening the memory transport was given up before it began.", true);
    this.#wasOpened = true;
    // Like the socket of a real broker it keeps the process alive until the bus is closed: changing the broker must not change that.
    const heartbeat = setInterval(() => this.#report(connection), REPORT_INTERVAL_MS);
    const connection: OpenConnection = { host, namespace: this.#broker.namespace(host.namePrefix), heartbeat };
    this.#open = connection;
    host.status({ publisher: true }, "up");
  }

  async provision(plan: TopologyPlan, mode: "create" | "verify"): Promise<void> {
    const { namespace } = this.#opened();
    if (mode === "create") createTopology(namespace, plan);
    else verifyTopology(namespace, plan);
  }

  async send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]> {
    if (!this.#open) return refuseAll(messages, notOpen());
    if (signal.aborted) return refuseAll(messages, new MemoryTransportError("timeout", "Sending was given up before it began.", true));
    const results = sendAll(this.#open.namespace, messages, this.capabilities.maxMessageBytes);
    // A confirm that came at once would let a publisher go on for ever without a turn for anybody else.
    await this.#broker.nextTurn();
    return results;
  }

  async receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    const { host, namespace } = this.#opened();
    const { endpoint, prefetch } = source;
    const queue = namespace.queues.get(endpoint.name);
    if (!queue) {
      const text = `There is no endpoint "${endpoint.name}" in the memory broker, so that nothing can be received from it.`;
      throw new MemoryTransportError(
        "topology",
        `${text} Leave the option "topology" at "create", or let another bus make it first.`,
        false,
      );
    }
    const difference = source.from === "endpoint" ? orderDifference(namespace, endpoint) : undefined;
    if (difference !== undefined) throw new MemoryTransportError("topology", difference, false);
    const feed = source.from === "endpoint" ? queue : new DeadLetterVisit(queue);
    const receiver = new MemoryReceiver(feed, sink, prefetch, endpoint, () => this.#receivers.delete(receiver));
    this.#receivers.add(receiver);
    feed.join(receiver);
    if (source.from === "endpoint") {
      this.#endpoints.set(endpoint.name, queue);
      host.status({ endpoint: endpoint.name }, "up");
      host.lag(endpoint.name, queue.waiting);
    }
    return receiver;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    clearInterval(this.#open.heartbeat);
    this.#open = undefined;
    await Promise.all([...this.#receivers].map((receiver) => receiver.close()));
  }

  #opened(): OpenConnection {
    if (!this.#open) throw notOpen();
    return this.#open;
  }

  #report({ host }: OpenConnection): void {
    const { maxQueueLength } = this.#broker.options;
    for (const [endpoint, queue] of this.#endpoints) {
      host.lag(endpoint, queue.waiting);
      const { size } = queue.deadLetters;
      if (size < maxQueueLength) this.#warned.delete(queue);
      else if (!this.#warned.has(queue)) {
        this.#warned.add(queue);
        host.logger.warn(`The endpoint "${endpoint}" has ${size} dead letters, which stay in memory until they are replayed or dropped.`);
      }
    }
  }
}

function notOpen(): MemoryTransportError {
  const text = "The memory transport is not open: its bus has not been started yet, or has been stopped.";
  return new MemoryTransportError("unavailable", text, false);
}
