import type { Channel, GetMessage, Message } from "amqplib";
import type { DeliverySink, EndpointPlan, FailureHeaders, Receiver } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { closeChannel } from "./close-channel.js";
import { CopyStore } from "./copy-store.js";
import { type DeliveryHome, RabbitMqDelivery } from "./delivery.js";
import { RabbitMqError, serverAnswer, textOf, unavailable } from "./errors.js";
import { HeldDeliveries } from "./held-deliveries.js";
import { closedByServer, openedInTime } from "./open-channel.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { answered, settledBy } from "./time-limit.js";

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;

/** So many letters are kept by holding them; those beyond are put at the end of the queue again, so that neither we nor the broker holds more. */
const MAX_HELD_LETTERS = 10_000;
/** How long the return of what was kept is waited for; somebody else may have taken it meanwhile. */
const RETURN_TIMEOUT_MS = 10_000;
const LONGEST_RETURN_WAIT_MS = 100;

interface Session {
  readonly channel: Channel;
  readonly held: HeldDeliveries<RabbitMqDelivery>;
}

/**
 * Visits what was in an endpoint's dead-letter queue at the call, oldest first, each letter once.
 *
 * Letters are fetched one by one (`basic.get`). One that is released is neither answered nor remembered: the channel holds it, and gives it
 * back, in its place, when it closes. Beyond a bound a copy at the end of the queue takes its place. So a visit takes no memory here, and
 * little in the broker, whatever the length of the queue. When the channel is lost, what it held is at the head of the queue
 * again, and as many are passed over.
 */
export class DeadLetterReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #queue: string;
  readonly #endpoint: EndpointPlan;
  readonly #prefetch: number;
  readonly #sink: DeliverySink;
  readonly #home: DeliveryHome;
  readonly #stopping = new AbortController();
  #session: Session | undefined;
  #toVisit = 0;
  #visited = 0;
  /** Gone from where they were: completed, or put last. */
  #removed = 0;
  #inHand = 0;
  #roomMade: (() => void) | undefined;
  #visit: Promise<void> | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#queue = environment.names.deadLetterQueue(endpoint.name);
    this.#prefetch = prefetch;
    this.#sink = sink;
    this.#home = this.#makeHome();
  }

  /** @throws RabbitMqError "topology" when there is no such queue, or it may not be read */
  async start(): Promise<void> {
    const session = await this.#openSession();
    try {
      const { messageCount } = await answered(session.channel.checkQueue(this.#queue));
      this.#toVisit = messageCount;
    } catch (error) {
      const answer = serverAnswer(error);
      if (!answer) throw unavailable(`The dead letters of "${this.#endpoint.name}" cannot be read now: ${textOf(error)}`, error);
      throw new RabbitMqError(
        "topology",
        `The dead letters of "${this.#endpoint.name}" cannot be read: ${answer.text}. Start the endpoint once, or grant the right "read".`,
        {
          retryable: false,
          cause: error,
        },
      );
    }
    this.#visit = this.#run(session);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#makeRoom();
    await this.#visit;
  }

  async close(deadline: number): Promise<void> {
    await settledBy(deadline, this.stop());
    const session = this.#session;
    this.#session = undefined;
    if (!session) return;
    session.held.flush();
    session.held.lose();
    await settledBy(deadline, this.#giveBack(session.channel));
    await settledBy(deadline, closeChannel(session.channel));
  }

  /** Resolves when the queue shows again what was kept: RabbitMQ returns it a moment later, and the next visit begins with a count. */
  async #giveBack(channel: Channel): Promise<void> {
    const kept = this.#visited - this.#removed;
    if (kept === 0) return;
    const { messageCount: before } = await channel.checkQueue(this.#queue);
    channel.nackAll(true);
    const end = performance.now() + RETURN_TIMEOUT_MS;
    for (let wait = 1; performance.now() < end; wait = Math.min(2 * wait, LONGEST_RETURN_WAIT_MS)) {
      const { messageCount } = await channel.checkQueue(this.#queue);
      if (messageCount >= before + kept) return;
      await delay(wait);
    }
  }

  /** Never rejects. */
  async #run(first: Session): Promise<void> {
    let session: Session | undefined = first;
    // Not before `receive` has resolved, so that the caller has the receiver when the first letter comes.
    await new Promise((resolve) => setImmediate(resolve));
    for (let attempt = 0; !this.#stopping.signal.aborted && !this.#environment.connection.isClosing; attempt++) {
      try {
        session ??= await this.#openSession();
        await this.#fetch(session);
        break;
      } catch (error) {
        session?.held.lose();
        if (session) void closeChannel(session.channel);
        session = undefined;
        if (this.#stopping.signal.aborted) return;
        this.#environment.logger.warn(
          `Reading the dead letters of "${this.#endpoint.name}" was interrupted: ${textOf(error)}. It goes on.`,
        );
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#stopping.signal);
      }
    }
    if (!this.#stopping.signal.aborted && !this.#environment.connection.isClosing) this.#sink.exhausted();
  }

  async #fetch(session: Session): Promise<void> {
    // On a second channel: what the first one held, kept or not yet decided about, has been visited.
    for (let passed = this.#visited - this.#removed; passed > 0; passed--) {
      const message = await this.#get(session);
      if (!message || this.#stopping.signal.aborted) return;
      session.held.keep(message.fields.deliveryTag);
    }
    while (this.#visited < this.#toVisit) {
      while (this.#inHand >= this.#prefetch && session.held.isOpen && !this.#stopping.signal.aborted) await this.#room();
      if (this.#stopping.signal.aborted) return;
      const message = await this.#get(session);
      if (!message) return;
      const delivery = new RabbitMqDelivery(message, session.held, this.#home, "none");
      if (delivery.isGone) throw unavailable("the channel was closed");
      this.#visited++;
      if (this.#stopping.signal.aborted) return;
      this.#inHand++;
      this.#sink.deliver(delivery);
    }
  }

  #get(session: Session): Promise<GetMessage | false> {
    if (!session.held.isOpen) throw unavailable("the channel was closed");
    return answered(session.channel.get(this.#queue));
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomMade = resolve;
    });
  }

  #makeRoom(): void {
    this.#roomMade?.();
    this.#roomMade = undefined;
  }

  async #openSession(): Promise<Session> {
    const model = await this.#environment.connection.whenConnected(this.#stopping.signal);
    const channel = await openedInTime(model, () => model.createChannel());
    const session: Session = { channel, held: new HeldDeliveries(channel) };
    channel.on("error", (error) => {
      closedByServer(model);
      this.#environment.logger.debug(`The channel for dead letters was closed: ${textOf(error)}`);
    });
    channel.once("close", () => {
      session.held.lose();
      this.#inHand = 0;
      this.#makeRoom();
    });
    this.#session = session;
    return session;
  }

  #makeHome(): DeliveryHome {
    const { sender, keeper } = this.#environment;
    const copies = new CopyStore(sender, keeper, this.#endpoint.name);
    const refuse = async (): Promise<never> => {
      throw new RabbitMqError("configuration", "A dead letter has no delayed retry; it is completed, released or dead-lettered again.", {
        retryable: false,
      });
    };
    const decided = (): void => {
      this.#inHand--;
      this.#makeRoom();
    };
    return {
      source: this.#queue,
      isDeadLetter: true,
      storeRetry: refuse,
      storeDeadLetter: async (message: Message, failure: FailureHeaders) => {
        await copies.store(message, this.#queue, failure, true);
        return "stored";
      },
      release: async (delivery) => {
        if (this.#visited - this.#removed > MAX_HELD_LETTERS && (await this.#putLast(delivery, copies))) return;
        delivery.held.keep(delivery.tag);
        decided();
      },
      settled: () => {
        this.#removed++;
        decided();
      },
      givenUp: decided,
    };
  }

  /** @returns whether a copy has taken the letter's place */
  async #putLast(delivery: RabbitMqDelivery, copies: CopyStore): Promise<boolean> {
    try {
      await copies.store(delivery.message, this.#queue, {}, true);
    } catch (error) {
      this.#environment.logger.debug(`A dead letter of "${this.#endpoint.name}" is held, since it cannot be put last: ${textOf(error)}`);
      return false;
    }
    if (delivery.isGone) return true;
    delivery.held.settle(delivery.tag);
    this.#home.settled(delivery);
    return true;
  }
}
