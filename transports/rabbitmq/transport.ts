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
import { loadClient } from "./client.js";
import { ManagedConnection } from "./connection.js";
import { DeadLetterReceiver } from "./dead-letter-receiver.js";
import { RabbitMqDelivery } from "./delivery.js";
import { RabbitMqError, unavailable } from "./errors.js";
import { Names, type Publish, publishOf, replayOf } from "./mapping.js";
import type { ResolvedOptions } from "./options.js";
import { EndpointReceiver } from "./receiver.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { Sender } from "./sender.js";
import { TopologyKeeper } from "./topology-keeper.js";

/**
 * RabbitMQ closes a channel that holds a delivery for longer than `consumer_timeout`, 30 min by default. A handler may run for nearly half of this (14 min):
 * after 14 min nothing more that is held is begun, and all of it is given back when what runs by then has ended.
 */
const MAX_HOLD_MS = 28 * 60_000;
/** `max_message_size` of RabbitMQ 4.x, 16 MiB by default (128 MiB on 3.x); AMQP does not tell it. A lower one is learnt from the first refusal. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Room for what a failed message carries beside its body. */
const FAILURE_BYTES = 8 * 1024;
/** AMQP's names have 255 bytes; a prefix (20) and the longest ending (`.retry.604800000ms`) leave more than this. */
const MAX_NAME_LENGTH = 200;

/** AMQP counts what a consumer holds in 16 bits. */
const MAX_PREFETCH = 65_535;

/** How long a receiver that could not start may take to let go of its channel. */
const FAILED_START_CLOSE_MS = 1_000;

/** What exists between `open` and `close`. */
interface OpenTransport {
  readonly host: TransportHost;
  readonly names: Names;
  readonly publishing: ManagedConnection;
  readonly consuming: ManagedConnection;
  readonly sender: Sender;
  readonly keeper: TopologyKeeper;
  readonly environment: ReceiverEnvironment;
}

/** The RabbitMQ transport of one bus. */
export class RabbitMqTransport implements Transport {
  readonly name = "rabbitmq";
  readonly #options: ResolvedOptions;
  #isTaken = false;
  #open: OpenTransport | undefined;
  /** The connection for consuming is made by the first receiver. */
  #consumingOpened: Promise<void> | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
  }

  get capabilities(): TransportCapabilities {
    return {
      durable: true,
      order: "endpoint",
      settlesIndividually: true,
      countsStarts: true,
      keeps: "until-settled",
      maxHoldMs: MAX_HOLD_MS,
      maxMessageBytes: (this.#open?.sender.maxBytes ?? MAX_MESSAGE_BYTES) - FAILURE_BYTES,
      maxNameLength: MAX_NAME_LENGTH,
    };
  }

  async open(host: TransportHost, signal: AbortSignal): Promise<void> {
    if (this.#isTaken) {
      throw new RabbitMqError(
        "configuration",
        "This RabbitMQ transport belongs to another bus already, and serves one. Make one for each: createBus({ transport: rabbitmq({...}) }).",
        { retryable: false },
      );
    }
    this.#isTaken = true;
    try {
      const client = await loadClient();
      const name = this.#options.connectionName ?? host.service;
      const publishing = new ManagedConnection(client, this.#options, `${name} (publish)`, host.logger);
      await publishing.open(signal);
      const names = new Names(host.namePrefix);
      const keeper = new TopologyKeeper(publishing, names, host.logger);
      const sender = new Sender(
        publishing,
        MAX_MESSAGE_BYTES,
        {
          status: (status, reason) => host.status({ publisher: true }, status, reason),
          repairExchange: (exchange) => keeper.repairExchange(exchange),
        },
        host.logger,
      );
      const consuming = new ManagedConnection(client, this.#options, `${name} (consume)`, host.logger);
      const environment: ReceiverEnvironment = {
        connection: consuming,
        sender,
        keeper,
        names,
        logger: host.logger,
        maxHoldMs: MAX_HOLD_MS,
        lag: (endpoint, messages) => host.lag(endpoint, messages),
        status: (endpoint, status, reason) => host.status({ endpoint }, status, reason),
      };
      this.#open = { host, names, publishing, consuming, sender, keeper, environment };
      await sender.ready();
      // It may have been closed meanwhile, by `close` or not yet.
      if (signal.aborted) {
        await this.close(performance.now());
        throw unavailable("The bus was stopped before it had connected to RabbitMQ.");
      }
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
      const error = unavailable("The RabbitMQ transport is not open.");
      return Promise.resolve(messages.map(() => ({ outcome: "refused", error })));
    }
    return open.sender.send(
      messages.map((message) => toPublish(message, open.names)),
      signal,
    );
  }

  async receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    const { environment, consuming } = this.#opened();
    if (source.prefetch > MAX_PREFETCH) {
      throw new RabbitMqError(
        "configuration",
        `The endpoint "${source.endpoint.name}" has a prefetch of ${source.prefetch}, and RabbitMQ takes at most ${MAX_PREFETCH}. Give it a lower prefetch, or a lower ` +
          "concurrency, of which it is twice by default.",
        { retryable: false },
      );
    }
    this.#consumingOpened ??= consuming.open(consuming.closing).catch((error: unknown) => {
      this.#consumingOpened = undefined;
      throw error;
    });
    await this.#consumingOpened;
    const receiver =
      source.from === "endpoint"
        ? new EndpointReceiver(environment, source.endpoint, source.prefetch, sink)
        : new DeadLetterReceiver(environment, source.endpoint, source.prefetch, sink);
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
    open.keeper.stop();
    await open.sender.close(deadline);
    await Promise.all([open.consuming.close(deadline), open.publishing.close(deadline)]);
  }

  #opened(): OpenTransport {
    if (!this.#open) throw unavailable("The RabbitMQ transport is not open.");
    return this.#open;
  }
}

/** A replay keeps what the port has no field for, such as the encoding and the reply address of a message that another client sent. */
function toPublish(message: OutgoingMessage, names: Names): Publish {
  const { to, replayOf: letter } = message;
  return letter instanceof RabbitMqDelivery && "endpoint" in to
    ? replayOf(letter.message, names.queue(to.endpoint))
    : publishOf(message, names);
}
