import type { ServiceBusReceivedMessage, ServiceBusReceiver } from "@azure/service-bus";
import type { DeliverySink, EndpointPlan, Receiver } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import type { ManagedClient } from "./connection.js";
import { type DeadLetterSource, deadLetterSourcesOf } from "./dead-letter-sources.js";
import { type DeliveryHome, ServiceBusDelivery, type Verdict } from "./delivery.js";
import { AzureServiceBusError, isNotFound, serviceAnswer, textOf, unavailable } from "./errors.js";
import { LockKeeper } from "./lock-keeper.js";
import { withoutSession } from "./mapping.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { measureQueue, type QueueMeasure, sequenceNumberOf } from "./sequence-number.js";
import { Settler } from "./settler.js";
import { answered, settledBy } from "./time-limit.js";

/** Letters that are asked for at one time. */
const PAGE = 32;
/** Of a queue of any length. */
const MAX_LOOKS = 10;
/** So long it is waited for letters that were seen, and may be held by another visitor. */
const FETCH_WAIT_MS = 2_000;
/** When the last of them has come: those before it that have not are held by others. */
const LAST_WAIT_MS = 200;
/** Letters that are kept are held until the end of the visit, so that none is met twice; the client keeps no more than 2047 of a link apart. */
const MAX_HELD_BY_LINK = 1_000;
const MAX_HELD = 10_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
const MAX_INTERRUPTIONS = 20;

/** What was there at the call. */
interface Measure extends QueueMeasure {
  readonly source: DeadLetterSource;
}

/** A link, and the letters that it holds. */
interface Link {
  readonly source: DeadLetterSource;
  readonly client: ManagedClient["client"];
  readonly receiver: ServiceBusReceiver;
  held: number;
}

/**
 * Visits the dead letters that were there at the call, each once. A letter that is kept stays locked until the visit is over, for given back at once it would
 * be the next to come; then all are given back. The broker counts that as a delivery, but has no limit for dead letters.
 */
export class DeadLetterReceiver implements Receiver {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: EndpointPlan;
  readonly #prefetch: number;
  readonly #sink: DeliverySink;
  readonly #settler: Settler;
  readonly #locks: LockKeeper;
  readonly #stopping = new AbortController();
  readonly #links = new Set<Link>();
  /** By source: settles what came over links that are gone. */
  readonly #spares = new Map<DeadLetterSource, Link>();
  /** Kept, or beyond the measure: given back at the end. */
  readonly #kept = new Map<ServiceBusDelivery, Link>();
  readonly #inHand = new Map<ServiceBusDelivery, Link>();
  #roomMade: (() => void) | undefined;
  #visit: Promise<void> | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: EndpointPlan, prefetch: number, sink: DeliverySink) {
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#prefetch = prefetch;
    this.#sink = sink;
    this.#settler = new Settler(environment.connection);
    this.#locks = new LockKeeper(
      environment.connection,
      (delivery) => this.#receiverOf(this.#linkOf(delivery) ?? fail()).renewMessageLock(delivery.message),
      environment.lockDurationMs,
      environment.logger,
    );
  }

  /** @throws AzureServiceBusError "topology" when there is no such queue, or it may not be received from */
  async start(): Promise<void> {
    let measures: readonly Measure[];
    try {
      measures = await this.#measure(await deadLetterSourcesOf(this.#environment, this.#endpoint.name));
    } catch (error) {
      if (!isNotFound(error) && serviceAnswer(error).code !== "UnauthorizedAccess")
        throw unavailable(`The dead letters of "${this.#endpoint.name}" cannot be read now: ${textOf(error)}`, error);
      throw new AzureServiceBusError(
        "topology",
        `The dead letters of "${this.#endpoint.name}" cannot be read: ${textOf(error)}. Start the endpoint once, or grant the right Listen.`,
        { retryable: false, cause: error },
      );
    }
    this.#visit = this.#run(measures);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#makeRoom();
    await this.#visit;
  }

  async close(deadline: number): Promise<void> {
    await settledBy(deadline, this.stop());
    await settledBy(deadline, this.#settler.whenIdle());
    const left = [...this.#kept, ...this.#inHand].filter(([delivery]) => !delivery.isLost);
    await settledBy(deadline, Promise.allSettled(left.map(([{ message }, link]) => this.#receiverOf(link).abandonMessage(message))));
    this.#locks.loseAll();
    const links = [...this.#links];
    this.#kept.clear();
    this.#links.clear();
    await settledBy(deadline, Promise.allSettled(links.map(({ receiver }) => receiver.close())));
  }

  /** The queue itself must be there; what else an endpoint may have, not. */
  async #measure(sources: readonly DeadLetterSource[]): Promise<readonly Measure[]> {
    const { requestTimeoutMs } = this.#environment.connection;
    const measures = await Promise.all(
      sources.map(async (source, index): Promise<Measure | undefined> => {
        const receiver = source.open();
        try {
          const measure = await answered(measureQueue(receiver), MAX_LOOKS * requestTimeoutMs);
          return measure && { source, ...measure };
        } catch (error) {
          if (index === 0 || !isNotFound(error)) throw error;
          return undefined;
        } finally {
          void receiver.close().catch(() => {});
        }
      }),
    );
    return measures.filter((measure) => measure !== undefined);
  }

  /** Never rejects. */
  async #run(measures: readonly Measure[]): Promise<void> {
    // Not before `receive` has resolved, so that the caller has the receiver when the first letter comes.
    await new Promise((resolve) => setImmediate(resolve));
    for (const measure of measures) await this.#visitOne(measure);
    if (!this.#isOver) this.#sink.exhausted();
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted || this.#environment.connection.isClosing;
  }

  async #visitOne(measure: Measure): Promise<void> {
    const visited = new Set<bigint>();
    for (let attempt = 0; !this.#isOver && attempt < MAX_INTERRUPTIONS; attempt++) {
      const { client } = this.#environment.connection;
      try {
        return await this.#fetch(measure, visited);
      } catch (error) {
        this.#environment.connection.failed(error, client);
        this.#environment.logger.warn(
          `Reading the dead letters in "${measure.source.name}" was interrupted: ${textOf(error)}. It goes on.`,
        );
        await delay(backoffWithHalfJitter(attempt, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#stopping.signal);
      }
    }
  }

  async #fetch({ source, highest, count }: Measure, visited: Set<bigint>): Promise<void> {
    let link = this.#link(source);
    while (!this.#isOver && (count === undefined || visited.size < count)) {
      while (this.#inHand.size >= this.#prefetch && !this.#isOver) await this.#room();
      if (this.#isOver) return;
      if (this.#kept.size >= MAX_HELD) {
        this.#environment.logger.warn(
          `More than ${MAX_HELD} dead letters of "${this.#endpoint.name}" were kept in one visit, which ends here. Drop or replay some, to reach those behind.`,
        );
        return;
      }
      if (link.held >= MAX_HELD_BY_LINK) link = this.#link(source);
      const room = Math.min(this.#prefetch - this.#inHand.size, count === undefined ? PAGE : count - visited.size);
      const messages = await answered(
        link.receiver.receiveMessages(room, { maxWaitTimeInMs: visited.has(highest) ? LAST_WAIT_MS : FETCH_WAIT_MS }),
        FETCH_WAIT_MS + 2 * this.#environment.connection.requestTimeoutMs,
      );
      if (messages.length === 0) return;
      for (const message of messages) this.#arrived(message, link, source, highest, visited);
    }
  }

  #arrived(message: ServiceBusReceivedMessage, link: Link, source: DeadLetterSource, highest: bigint, visited: Set<bigint>): void {
    const number = sequenceNumberOf(message);
    const delivery: ServiceBusDelivery = new ServiceBusDelivery(withoutSession(message), this.#homeOf(source.name), (gone) =>
      this.#gone(gone),
    );
    link.held++;
    this.#locks.keep(delivery);
    if (number > highest || visited.has(number) || this.#isOver) {
      this.#kept.set(delivery, link);
      return;
    }
    visited.add(number);
    this.#inHand.set(delivery, link);
    this.#sink.deliver(delivery);
  }

  /** Settled, or its lock is lost. */
  #gone(delivery: ServiceBusDelivery): void {
    const link = this.#linkOf(delivery);
    if (this.#kept.has(delivery) && !delivery.isLost) return;
    if (link) link.held--;
    this.#locks.drop(delivery);
    this.#kept.delete(delivery);
    this.#inHand.delete(delivery);
    this.#makeRoom();
  }

  #linkOf(delivery: ServiceBusDelivery): Link | undefined {
    return this.#inHand.get(delivery) ?? this.#kept.get(delivery);
  }

  #link(source: DeadLetterSource): Link {
    const link: Link = { source, client: this.#environment.connection.client, receiver: source.open(), held: 0 };
    this.#links.add(link);
    return link;
  }

  /** Settles and renews what came over a link, which may have gone with its client since. */
  #receiverOf(link: Link): ServiceBusReceiver {
    if (this.#isOpen(link)) return link.receiver;
    let spare = this.#spares.get(link.source);
    if (!spare || !this.#isOpen(spare)) {
      spare = this.#link(link.source);
      this.#spares.set(link.source, spare);
    }
    return spare.receiver;
  }

  #isOpen({ client, receiver }: Link): boolean {
    return client === this.#environment.connection.client && !receiver.isClosed;
  }

  #homeOf(source: string): DeliveryHome {
    return {
      source,
      isDeadLetter: true,
      storeRetry: async () => {
        throw new AzureServiceBusError("configuration", "A dead letter has no delayed retry; it is completed or released.", {
          retryable: false,
        });
      },
      settle: (delivery, verdict) => this.#settle(delivery, verdict),
    };
  }

  async #settle(delivery: ServiceBusDelivery, verdict: Verdict): Promise<"settled" | "lost"> {
    const link = this.#linkOf(delivery);
    if (!link) return "lost";
    if (verdict.as === "complete") return this.#settler.settle(delivery, verdict, () => this.#receiverOf(link));
    if (verdict.as === "dead-letter") {
      throw new AzureServiceBusError("configuration", "A dead letter cannot be dead-lettered again; it is completed or released.", {
        retryable: false,
      });
    }
    this.#inHand.delete(delivery);
    this.#kept.set(delivery, link);
    this.#makeRoom();
    return "settled";
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
}

function fail(): never {
  throw unavailable("the letter is held no longer");
}
