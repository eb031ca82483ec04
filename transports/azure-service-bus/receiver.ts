import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { ConsumerLink } from "./consumer-link.js";
import { CopyStore } from "./copy-store.js";
import { HeldDeliveries } from "./held-deliveries.js";
import { LockKeeper } from "./lock-keeper.js";
import { withoutSession } from "./mapping.js";
import { QueueHome } from "./queue-home.js";
import { QueueWatch } from "./queue-watch.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { Settler } from "./settler.js";
import { SuspectMover } from "./suspect-mover.js";
import { SuspectReader } from "./suspect-reader.js";
import { DeliveryCounts, SUSPECT_AFTER } from "./suspicion.js";
import { settledBy } from "./time-limit.js";

/** Receives from the queue of an endpoint without order, and from that of its suspects. */
export class EndpointReceiver implements Receiver {
  readonly #sink: DeliverySink;
  readonly #link: ConsumerLink;
  readonly #counts = new DeliveryCounts();
  readonly #held: HeldDeliveries;
  readonly #settler: Settler;
  readonly #mover: SuspectMover;
  readonly #suspects: SuspectReader;
  readonly #watch: QueueWatch;
  #isStopping = false;
  #stopped: Promise<void> | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    const { connection, names, logger, keeper, sender, lockDurationMs } = environment;
    const queue = names.queue(endpoint.name);
    const copies = new CopyStore(sender, keeper, endpoint.name);
    const repair = (): Promise<boolean> => keeper.repairEndpoint(endpoint.name);
    this.#sink = sink;
    this.#settler = new Settler(connection);
    this.#link = new ConsumerLink(
      connection,
      queue,
      prefetch,
      {
        arrived: (message, done) => this.#arrived(message, done),
        status: (status, reason) => environment.status(endpoint.name, status, reason),
        repair,
      },
      logger,
    );
    const home = new QueueHome(
      queue,
      endpoint,
      queue,
      copies,
      this.#counts,
      this.#settler,
      () => this.#link.receiver,
      () => this.#link.direct,
    );
    const locks = new LockKeeper(connection, ({ message }) => this.#link.receiver.renewMessageLock(message), lockDurationMs, logger);
    this.#held = new HeldDeliveries(home, this.#counts, locks);
    this.#suspects = new SuspectReader(environment, endpoint, copies, this.#settler, this.#link, () => this.#held, sink, repair);
    this.#mover = new SuspectMover(copies, names.suspectQueue(endpoint.name), () => this.#suspects.look(), logger);
    this.#watch = new QueueWatch(environment, endpoint.name, () => this.#link.receiver, {
      hasRoom: () => this.#held.size < prefetch,
      stalled: () => this.#link.replace(),
    });
  }

  /** @throws AzureServiceBusError "topology" when the queue is not there, or may not be received from */
  async start(): Promise<void> {
    await this.#link.start();
    this.#suspects.start();
    this.#watch.start();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async close(deadline: number): Promise<void> {
    await settledBy(deadline, this.stop());
    await settledBy(deadline, this.#mover.stop());
    await settledBy(deadline, this.#settler.whenIdle());
    // A lock that nobody ends blocks the message until its time is over.
    await settledBy(deadline, Promise.allSettled(this.#held.undecided.map((delivery) => delivery.release())));
    this.#held.loseAll();
    await Promise.all([this.#link.close(deadline), this.#suspects.close(deadline)]);
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    this.#watch.stop();
    this.#suspects.stop();
    await this.#link.pause();
  }

  #arrived(message: ServiceBusReceivedMessage, done: () => void): void {
    this.#watch.arrived();
    const delivery = this.#held.add(withoutSession(message), done);
    if (this.#isStopping) void delivery.release().catch(() => delivery.lose());
    else if (this.#counts.unexplained(message) >= SUSPECT_AFTER) this.#mover.move(delivery);
    else this.#sink.deliver(delivery);
  }
}
