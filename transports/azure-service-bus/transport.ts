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
import { administrationOf } from "./administration.js";
import { loadClient, type ServiceBusModule } from "./client.js";
import { ManagedClient } from "./connection.js";
import { DeadLetterReceiver } from "./dead-letter-receiver.js";
import { ServiceBusDelivery } from "./delivery.js";
import { AzureServiceBusError, textOf, unavailable } from "./errors.js";
import { Names, replayOf, type Send, sendOf } from "./mapping.js";
import type { ResolvedOptions } from "./options.js";
import { OrderedReceiver } from "./ordered-receiver.js";
import { EndpointReceiver } from "./receiver.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { Sender } from "./sender.js";
import { answered } from "./time-limit.js";
import type { Administration } from "./topology.js";
import { TopologyKeeper } from "./topology-keeper.js";

/** What the Basic and Standard tiers take, and Premium where a queue does not say more. */
const MAX_MESSAGE_BYTES = 262_144;
const MAX_MESSAGE_BYTES_PREMIUM = 1_048_576;
/** Room for what a failed message carries beside its body, and for what the protocol puts around it. */
const FAILURE_BYTES = 8 * 1024;
const PROTOCOL_BYTES = 2 * 1024;
/** Names of queues and topics have 260 characters; the longest ending (`.suspect`) leaves more than this. */
const MAX_NAME_LENGTH = 250;

/** How long what could not start may take to let go of its links. */
const FAILED_START_CLOSE_MS = 1_000;

/** What exists between `open` and `close`. */
interface OpenTransport {
  readonly host: TransportHost;
  readonly names: Names;
  readonly publishing: ManagedClient;
  readonly consuming: ManagedClient;
  readonly sender: Sender;
  readonly keeper: TopologyKeeper;
  readonly environment: ReceiverEnvironment;
}

/** The Azure Service Bus transport of one bus. */
export class AzureServiceBusTransport implements Transport {
  readonly name = "azure-service-bus";
  readonly #options: ResolvedOptions;
  #isTaken = false;
  #open: OpenTransport | undefined;
  #tier: Administration["tier"];

  constructor(options: ResolvedOptions) {
    this.#options = options;
  }

  get capabilities(): TransportCapabilities {
    return {
      durable: true,
      // The Basic tier has no sessions.
      order: this.#tier === "Basic" ? "none" : "endpoint",
      settlesIndividually: true,
      countsStarts: true,
      keeps: "until-settled",
      maxHoldMs: Number.POSITIVE_INFINITY,
      maxMessageBytes: (this.#open?.sender.maxBytes ?? MAX_MESSAGE_BYTES) - FAILURE_BYTES - PROTOCOL_BYTES,
      maxNameLength: MAX_NAME_LENGTH,
    };
  }

  async open(host: TransportHost, signal: AbortSignal): Promise<void> {
    if (this.#isTaken) {
      throw new AzureServiceBusError(
        "configuration",
        "This Azure Service Bus transport belongs to another bus already, and serves one. Make one for each: createBus({ transport: azureServiceBus({...}) }).",
        { retryable: false },
      );
    }
    this.#isTaken = true;
    let publishing: ManagedClient | undefined;
    try {
      const module = await loadClient();
      publishing = new ManagedClient(module, this.#options, `${host.service} (publish)`, host.logger, 2 * this.#options.operationTimeoutMs);
      await publishing.open(signal);
      const administration = await this.#administration(module, host);
      this.#open = this.#assemble(
        host,
        publishing,
        new ManagedClient(module, this.#options, `${host.service} (consume)`, host.logger),
        administration,
      );
      // It may have been closed meanwhile, by `close` or not yet.
      if (signal.aborted) {
        await this.close(performance.now());
        throw unavailable("The bus was stopped before it had connected to Azure Service Bus.");
      }
    } catch (error) {
      // A connection that was refused stays open otherwise, and the process alive.
      await publishing?.close(performance.now() + FAILED_START_CLOSE_MS);
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
      const error = unavailable("The Azure Service Bus transport is not open.");
      return Promise.resolve(messages.map(() => ({ outcome: "refused", error })));
    }
    return open.sender.send(
      messages.map((message) => toSend(message, open.names)),
      signal,
    );
  }

  async receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    const { environment, keeper } = this.#opened();
    const { endpoint, prefetch } = source;
    keeper.remember(endpoint.name, endpoint.subscribed);
    const receiver =
      source.from === "dead-letter"
        ? new DeadLetterReceiver(environment, endpoint, prefetch, sink)
        : endpoint.order === "key"
          ? new OrderedReceiver(environment, endpoint, prefetch, sink)
          : new EndpointReceiver(environment, endpoint, prefetch, sink);
    try {
      await receiver.start();
      if (source.from === "endpoint") keeper.received(endpoint.name);
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

  async #administration(module: ServiceBusModule, host: TransportHost): Promise<Administration> {
    const client = administrationOf(module, this.#options);
    try {
      const { messagingSku } = await answered(client.getNamespaceProperties(), this.#options.operationTimeoutMs);
      this.#tier = messagingSku;
    } catch (error) {
      // Without the right to manage, the tier shows itself in what it refuses.
      host.logger.debug(`The tier of the Service Bus namespace cannot be seen: ${textOf(error)}`);
    }
    return { client, tier: this.#tier };
  }

  #assemble(host: TransportHost, publishing: ManagedClient, consuming: ManagedClient, administration: Administration): OpenTransport {
    const { lockDurationMs } = this.#options;
    const names = new Names(host.namePrefix);
    const keeper = new TopologyKeeper(administration, publishing, names, lockDurationMs, host.logger);
    const sender = new Sender(publishing, this.#tier === "Premium" ? MAX_MESSAGE_BYTES_PREMIUM : MAX_MESSAGE_BYTES, {
      status: (status, reason) => host.status({ publisher: true }, status, reason),
      repairTopic: (topic) => keeper.repairTopic(topic),
    });
    const environment: ReceiverEnvironment = {
      connection: consuming,
      sender,
      keeper,
      names,
      logger: host.logger,
      lockDurationMs,
      lag: (endpoint, messages) => host.lag(endpoint, messages),
      status: (endpoint, status, reason) => host.status({ endpoint }, status, reason),
    };
    return { host, names, publishing, consuming, sender, keeper, environment };
  }

  #opened(): OpenTransport {
    if (!this.#open) throw unavailable("The Azure Service Bus transport is not open.");
    return this.#open;
  }
}

/** A replay keeps what the port has no field for, such as the session and the reply address of a message that another client sent. */
function toSend(message: OutgoingMessage, names: Names): Send {
  const { to, replayOf: letter } = message;
  return letter instanceof ServiceBusDelivery && "endpoint" in to
    ? replayOf(message, letter.message, names.queue(to.endpoint))
    : sendOf(message, names);
}
