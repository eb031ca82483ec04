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
import { loadDriver } from "./client.js";
import { KafkaConnection } from "./connection.js";
import { DeadLetterReceiver } from "./dead-letter-receiver.js";
import { KafkaError, unavailable } from "./errors.js";
import { Names, recordOf } from "./mapping.js";
import type { ResolvedOptions } from "./options.js";
import { EndpointReceiver } from "./receiver.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { Sender } from "./sender.js";
import { DEFAULT_MAX_MESSAGE_BYTES, TopicDirectory } from "./topic-directory.js";
import { TopologyKeeper } from "./topology-keeper.js";
import { COPY_ROOM } from "./topology-plan.js";

/** Kafka's names have 249 characters; the longest ending (`.retry.604800000ms`) leaves this. */
const MAX_NAME_LENGTH = 230;

/** What a receiver that could not start may take to go. */
const FAILED_START_CLOSE_MS = 5_000;

/** What exists between `open` and `close`. */
interface OpenTransport {
  readonly names: Names;
  readonly connection: KafkaConnection;
  readonly directory: TopicDirectory;
  readonly sender: Sender;
  readonly keeper: TopologyKeeper;
  readonly environment: ReceiverEnvironment;
}

/** The Kafka transport of one bus. */
export class KafkaTransport implements Transport {
  readonly name = "kafka";
  readonly #options: ResolvedOptions;
  #isTaken = false;
  #open: OpenTransport | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
  }

  get capabilities(): TransportCapabilities {
    return {
      durable: true,
      order: "type",
      settlesIndividually: false,
      partitioned: true,
      countsStarts: true,
      keeps: "time",
      maxHoldMs: Number.POSITIVE_INFINITY,
      maxMessageBytes: (this.#open?.directory.defaultLimit ?? DEFAULT_MAX_MESSAGE_BYTES) - COPY_ROOM,
      maxNameLength: MAX_NAME_LENGTH,
    };
  }

  ordersTogether(messageTypes: readonly string[]): boolean {
    const names = new Names("", this.#options.topics);
    return new Set(messageTypes.map((type) => names.topicOfType(type))).size === 1;
  }

  async open(host: TransportHost, signal: AbortSignal): Promise<void> {
    if (this.#isTaken) {
      throw new KafkaError(
        "configuration",
        "This Kafka transport belongs to another bus already, and serves one. Make one for each: createBus({ transport: kafka({...}) }).",
        { retryable: false },
      );
    }
    this.#isTaken = true;
    try {
      await this.#connect(host, signal);
    } catch (error) {
      this.#isTaken = false;
      throw error;
    }
  }

  async provision(plan: TopologyPlan, mode: "create" | "verify"): Promise<void> {
    await this.#opened().keeper.provision(plan, mode);
  }

  send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]> {
    const open = this.#open;
    if (!open) {
      const error = unavailable("The Kafka transport is not open.");
      return Promise.resolve(messages.map(() => ({ outcome: "refused", error })));
    }
    return open.sender.send(
      messages.map((message) => recordOf(message, open.names)),
      signal,
    );
  }

  async receive({ endpoint, from, prefetch }: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    const { environment } = this.#opened();
    const receiver =
      from === "endpoint"
        ? new EndpointReceiver(environment, endpoint, prefetch, sink)
        : new DeadLetterReceiver(environment, endpoint, prefetch, sink);
    try {
      await receiver.start();
    } catch (error) {
      await receiver.close(performance.now() + FAILED_START_CLOSE_MS);
      throw error;
    }
    return receiver;
  }

  async close(deadline: number): Promise<void> {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    open.directory.stop();
    await open.sender.close(deadline);
    await open.connection.close(deadline);
  }

  async #connect(host: TransportHost, signal: AbortSignal): Promise<void> {
    const { logger } = host;
    const options = this.#options;
    const driver = await loadDriver(options, options.clientId ?? host.service, logger);
    let sender: Sender | undefined;
    const connection = new KafkaConnection(driver, options, logger, (downReason) => {
      if (downReason === undefined) host.status({ publisher: true }, "up");
      else host.status({ publisher: true }, "down", downReason);
      if (downReason === undefined) sender?.connected();
      else sender?.disconnected(downReason);
    });
    const missing = (topics: readonly string[]): void => {
      if (!connection.producer) return;
      if (topics.length === 0) host.status({ publisher: true }, "up");
      else host.status({ publisher: true }, "degraded", `missing in Kafka: topic ${topics.join(", ")}`);
    };
    const names = new Names(host.namePrefix, options.topics);
    const directory = new TopicDirectory(connection, logger);
    const keeper = new TopologyKeeper(connection, directory, names, options, logger, missing);
    const requestMs = options.requestTimeoutMs + options.connectTimeoutMs;
    sender = new Sender(connection, directory, { repairTopic: (topic) => keeper.repairTopic(topic) }, requestMs);
    try {
      await connection.open(signal);
      await directory.open();
    } catch (error) {
      await connection.close(performance.now());
      throw error;
    }
    const environment: ReceiverEnvironment = {
      connection,
      directory,
      keeper,
      sender,
      names,
      options,
      logger,
      lag: (endpoint, messages) => host.lag(endpoint, messages),
      status: (endpoint, status, reason) => host.status({ endpoint }, status, reason),
    };
    this.#open = { names, connection, directory, sender, keeper, environment };
    // It may have been closed meanwhile.
    if (signal.aborted) {
      await this.close(performance.now());
      throw unavailable("The bus was stopped before it had connected to Kafka.");
    }
  }

  #opened(): OpenTransport {
    if (!this.#open) throw unavailable("The Kafka transport is not open.");
    return this.#open;
  }
}
