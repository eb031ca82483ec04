import type { ConsumeMessage } from "amqplib";
import type { Logger } from "../../src/contracts/logger.js";
import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import type { ManagedConnection } from "./connection.js";
import { ConsumerChannel } from "./consumer-channel.js";
import { CopyStore } from "./copy-store.js";
import { RabbitMqDelivery } from "./delivery.js";
import type { HeldDeliveries } from "./held-deliveries.js";
import type { Names } from "./mapping.js";
import { QueueHome } from "./queue-home.js";
import type { Sender } from "./sender.js";
import { DeliveryCounts } from "./suspicion.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** What the receivers of one transport share. */
export interface ReceiverEnvironment {
  readonly connection: ManagedConnection;
  readonly sender: Sender;
  readonly keeper: TopologyKeeper;
  readonly names: Names;
  readonly logger: Logger;
  status(endpoint: string, status: "up" | "degraded" | "down", reason?: string): void;
}

/** Receives from the queue of an endpoint. */
export class EndpointReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;
  readonly #sink: DeliverySink;
  readonly #consumer: ConsumerChannel;
  readonly #counts = new DeliveryCounts();
  readonly #home: QueueHome;
  #isStopping = false;
  #stopped: Promise<void> | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    const { connection, names, logger, keeper, sender } = environment;
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#sink = sink;
    const queue = names.queue(endpoint.name);
    const copies = new CopyStore(sender, keeper, endpoint.name);
    this.#home = new QueueHome(queue, names, endpoint, copies, this.#counts, endpoint.order === "key");
    this.#consumer = new ConsumerChannel(
      connection,
      queue,
      prefetch,
      {
        delivered: (message, held) => this.#delivered(message, held),
        opened: () => {},
        lost: (deliveries) => {
          for (const { message } of deliveries) this.#counts.survived(message);
        },
        status: (status, reason) => environment.status(endpoint.name, status, reason),
        repair: () => keeper.repairEndpoint(endpoint.name),
      },
      logger,
    );
  }

  /** @throws RabbitMqError "topology" when the queue is not there, or may not be read */
  async start(): Promise<void> {
    await this.#consumer.start();
    this.#environment.keeper.received(this.#endpoint.name);
  }

  stop(): Promise<void> {
    this.#isStopping = true;
    // With one active consumer a cancel would make the next one active while messages before its first are still being handled here.
    this.#stopped ??= this.#endpoint.order === "key" ? Promise.resolve() : this.#consumer.pause();
    return this.#stopped;
  }

  async close(deadline: number): Promise<void> {
    this.#isStopping = true;
    await this.#consumer.close(deadline);
  }

  #delivered(message: ConsumeMessage, held: HeldDeliveries<RabbitMqDelivery>): void {
    const delivery = new RabbitMqDelivery(message, held, this.#home, "none");
    if (!this.#isStopping) this.#sink.deliver(delivery);
    else void delivery.release();
  }
}
