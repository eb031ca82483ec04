import type { ConsumeMessage } from "amqplib";
import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { AloneRuns } from "./alone-runs.js";
import { ConsumerChannel } from "./consumer-channel.js";
import { CopyStore } from "./copy-store.js";
import { RabbitMqDelivery } from "./delivery.js";
import { DeliveryMover } from "./delivery-mover.js";
import type { HeldDeliveries } from "./held-deliveries.js";
import { HoldLimit } from "./hold-limit.js";
import { deliveryCountOf } from "./mapping.js";
import { putBackMisplacedSuspects } from "./misplaced-suspects.js";
import { OrderedIntake } from "./ordered-intake.js";
import { QueueHome } from "./queue-home.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { SuspectReader } from "./suspect-reader.js";
import { DeliveryCounts, SUSPECT_AFTER } from "./suspicion.js";
import { settledBy } from "./time-limit.js";
import { RENEW_AFTER } from "./topology-plan.js";

/** What is held so long (as a part of the longest hold) is given back; what runs has the rest of the time, which no handler may exceed, to end. */
const GIVE_BACK_AT = 0.5;

const HELD_TOO_LONG =
  "a message is held for nearly as long as RabbitMQ allows, so nothing more is begun, and all is given back when what runs has ended";

/** How often it is told how much waits in the queue. */
const TELL_LAG_EVERY_MS = 15_000;

/** Receives from the queue of an endpoint, and from that of its suspects. */
export class EndpointReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;
  readonly #sink: DeliverySink;
  readonly #consumer: ConsumerChannel;
  readonly #counts = new DeliveryCounts();
  readonly #copies: CopyStore;
  readonly #home: QueueHome;
  readonly #holdLimit: HoldLimit;
  /** With `order: "key"`: suspects stay in their place. */
  readonly #ordered: OrderedIntake | undefined;
  /** With `order: "none"`: suspects are moved, and read apart. */
  readonly #suspects: { readonly mover: DeliveryMover; readonly reader: SuspectReader } | undefined;
  #isStopping = false;
  #isGivingBack = false;
  #stopped: Promise<void> | undefined;
  #lagTimer: NodeJS.Timeout | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    const { connection, names, logger, keeper, sender } = environment;
    const queue = names.queue(endpoint.name);
    const suspectQueue = names.suspectQueue(endpoint.name);
    const runs = new AloneRuns(environment, endpoint.name);
    const copies = new CopyStore(sender, keeper, endpoint.name);
    const repair = (): Promise<boolean> => keeper.repairEndpoint(endpoint.name);
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#sink = sink;
    this.#copies = copies;
    this.#consumer = new ConsumerChannel(
      connection,
      queue,
      prefetch,
      {
        delivered: (message, held) => this.#delivered(message, held),
        opened: (held) => this.#holdLimit.watch(held),
        lost: (deliveries) => this.#lost(deliveries),
        status: (status, reason) => environment.status(endpoint.name, status, reason),
        repair,
      },
      logger,
    );
    this.#holdLimit = new HoldLimit(environment.maxHoldMs * GIVE_BACK_AT, () => void this.#giveAllBack());
    if (endpoint.order === "key") {
      this.#ordered = new OrderedIntake(sink, runs, logger);
      this.#home = new QueueHome(queue, environment, endpoint, copies, this.#counts, this.#ordered);
    } else {
      this.#home = new QueueHome(queue, environment, endpoint, copies, this.#counts, undefined);
      const home = new QueueHome(suspectQueue, environment, endpoint, copies, undefined, undefined);
      const reader = new SuspectReader(environment, home, runs, this.#consumer, sink, repair);
      this.#suspects = { reader, mover: new DeliveryMover(copies, suspectQueue, () => reader.look(), logger) };
    }
  }

  /** @throws RabbitMqError "topology" when the queue is not there, or may not be read */
  async start(): Promise<void> {
    if (this.#ordered) await putBackMisplacedSuspects(this.#environment, this.#endpoint.name, this.#copies);
    const reader = this.#suspects?.reader;
    const areSuspectsWaiting = (await reader?.areWaiting()) ?? false;
    if (areSuspectsWaiting) await this.#consumer.pause();
    await this.#consumer.start();
    reader?.start(areSuspectsWaiting);
    this.#environment.keeper.received(this.#endpoint.name);
    this.#lagTimer = setInterval(() => void this.#tellLag(), TELL_LAG_EVERY_MS).unref();
    void this.#tellLag();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async close(deadline: number): Promise<void> {
    await settledBy(deadline, this.stop());
    this.#holdLimit.stop();
    clearInterval(this.#lagTimer);
    await Promise.all([this.#consumer.close(deadline), this.#suspects?.reader.close(deadline)]);
    // Without a connection it waits for one, which ends when that is closed for good.
    if (this.#ordered && this.#environment.connection.model) await settledBy(deadline, this.#ordered.whenIdle());
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    // With one active consumer a cancel would make the next one active while messages before its first are still being handled here.
    if (this.#ordered) this.#ordered.holdUp();
    else await Promise.all([this.#consumer.pause(), this.#suspects?.reader.stop()]);
  }

  #delivered(message: ConsumeMessage, held: HeldDeliveries<RabbitMqDelivery>): void {
    const delivery = new RabbitMqDelivery(message, held, this.#home, "none");
    const unexplained = message.fields.redelivered ? this.#counts.unexplained(message) : 0;
    if (this.#ordered) this.#ordered.take(delivery, unexplained);
    else if (this.#isStopping) void delivery.release();
    else if (unexplained >= SUSPECT_AFTER) void this.#suspects?.mover.setAside(delivery);
    else if (deliveryCountOf(message) >= RENEW_AFTER) void this.#suspects?.mover.renew(delivery);
    else this.#sink.deliver(delivery);
  }

  async #tellLag(): Promise<void> {
    // A queue that cannot be asked is one that cannot be received from, which is told already.
    const waiting = await this.#consumer.waiting().catch(() => undefined);
    if (waiting !== undefined && !this.#isStopping) this.#environment.lag(this.#endpoint.name, waiting);
  }

  #lost(deliveries: readonly RabbitMqDelivery[]): void {
    for (const { message } of deliveries) this.#counts.survived(message);
    this.#ordered?.lost(deliveries);
  }

  /** Before the broker closes the channel over a delivery that is held too long: no more is taken, what runs may end, the rest goes back. */
  async #giveAllBack(): Promise<void> {
    if (this.#isGivingBack || this.#isStopping) return;
    this.#isGivingBack = true;
    // Until it receives on another channel, which says "up" again.
    this.#environment.status(this.#endpoint.name, "degraded", HELD_TOO_LONG);
    this.#environment.logger.warn(`Receiving at "${this.#endpoint.name}" pauses: ${HELD_TOO_LONG}.`);
    const held = this.#consumer.held;
    held?.leave();
    const deadline = performance.now() + this.#environment.maxHoldMs * (1 - GIVE_BACK_AT);
    if (this.#ordered) {
      this.#ordered.holdUp();
      await settledBy(deadline, this.#ordered.whenNothingTaken());
    } else {
      await this.#consumer.pause();
      if (held) await settledBy(deadline, held.whenEmpty());
    }
    if (held?.isOpen) this.#consumer.reopen("what was held for too long is given back");
    this.#isGivingBack = false;
    if (this.#isStopping) return;
    if (this.#ordered) this.#ordered.goOn();
    else await this.#consumer.resume();
  }
}
