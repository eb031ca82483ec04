import type { ServiceBusReceiver } from "@azure/service-bus";
import type { DeliverySink, EndpointPlan } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import { RECEIVER_OPTIONS } from "./client.js";
import type { ConsumerLink } from "./consumer-link.js";
import type { CopyStore } from "./copy-store.js";
import type { ServiceBusDelivery } from "./delivery.js";
import { isNotFound, textOf, unavailable } from "./errors.js";
import { HeldDeliveries } from "./held-deliveries.js";
import { LockKeeper } from "./lock-keeper.js";
import { withoutSession } from "./mapping.js";
import { QueueHome } from "./queue-home.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { peekFrom } from "./sequence-number.js";
import type { Settler } from "./settler.js";
import { CRASHED_AFTER, DeliveryCounts } from "./suspicion.js";
import { answered, settledBy } from "./time-limit.js";

/** How often the queue is looked at unasked: whoever moves a suspect into it looks at once, so this is for what a process left that has gone. */
const LOOK_EVERY_MS = 30_000;
/** So long suspects are run one after the other before the endpoint's own queue has its turn again, and the other way round. */
const SLICE_MS = 15_000;
/** A suspect that a dead process held is in the queue, and locked: it is waited for no longer than this, and asked for again. */
const FETCH_WAIT_MS = 1_000;
const LOCKED_WAIT_MS = 3_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/**
 * Reads an endpoint's suspects, one at a time, and only while nothing else of the endpoint is held here, nor a suspect of another: whatever is
 * held when the process dies is counted against. So the queue is looked at without taking anything; when there is one to be had, the endpoint's own link
 * pauses, what it holds ends, and then one suspect after the other is run.
 */
export class SuspectReader {
  readonly #environment: ReceiverEnvironment;
  readonly #queue: string;
  readonly #main: ConsumerLink;
  readonly #mainHeld: () => HeldDeliveries;
  readonly #sink: DeliverySink;
  readonly #repair: () => Promise<boolean>;
  readonly #counts = new DeliveryCounts();
  readonly #held: HeldDeliveries;
  readonly #stopping = new AbortController();
  #receiver: { readonly of: unknown; readonly it: ServiceBusReceiver } | undefined;
  #wake: () => void = () => {};
  #interruptions = 0;
  #run: Promise<void> | undefined;

  constructor(
    environment: ReceiverEnvironment,
    endpoint: EndpointPlan,
    copies: CopyStore,
    settler: Settler,
    main: ConsumerLink,
    mainHeld: () => HeldDeliveries,
    sink: DeliverySink,
    repair: () => Promise<boolean>,
  ) {
    const { connection, names, lockDurationMs, logger } = environment;
    this.#environment = environment;
    this.#queue = names.suspectQueue(endpoint.name);
    this.#main = main;
    this.#mainHeld = mainHeld;
    this.#sink = sink;
    this.#repair = repair;
    const home = new QueueHome(this.#queue, endpoint, names.queue(endpoint.name), copies, this.#counts, settler, () => this.#opened());
    const locks = new LockKeeper(connection, ({ message }) => this.#opened().renewMessageLock(message), lockDurationMs, logger);
    this.#held = new HeldDeliveries(home, this.#counts, locks);
  }

  start(): void {
    this.#run = this.#supervise();
  }

  /** Looks at the queue now. */
  look(): void {
    this.#wake();
  }

  stop(): void {
    this.#stopping.abort();
    this.#wake();
  }

  async close(deadline: number): Promise<void> {
    this.stop();
    await Promise.all(this.#held.undecided.map((delivery) => settledBy(deadline, delivery.release())));
    this.#held.loseAll();
    if (this.#run) await settledBy(deadline, this.#run);
    if (this.#receiver) await settledBy(deadline, this.#receiver.it.close());
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted || this.#environment.connection.isClosing;
  }

  /** Never rejects. */
  async #supervise(): Promise<void> {
    while (!this.#isOver) {
      let pauseMs = LOOK_EVERY_MS / 2 + (Math.random() * LOOK_EVERY_MS) / 2;
      try {
        if (await this.#look()) pauseMs = (await this.#runSuspects()) ? SLICE_MS : LOCKED_WAIT_MS;
      } catch (error) {
        if (this.#isOver) return;
        pauseMs = backoffWithHalfJitter(this.#interruptions++, FIRST_WAIT_MS, LONGEST_WAIT_MS);
        this.#environment.logger.debug(`Reading "${this.#queue}" was interrupted: ${textOf(error)}`);
        await this.#mend(error);
      }
      if (!this.#isOver) await this.#wait(pauseMs);
    }
  }

  /** @returns whether there was one that nobody holds */
  async #runSuspects(): Promise<boolean> {
    if (!(await suspectTurn.take(SLICE_MS, this.#stopping.signal))) return true;
    try {
      const first = await this.#fetch();
      if (!first) return false;
      await this.#main.pause();
      await this.#mainHeld().whenEmpty();
      await this.#runSlice(first);
      return true;
    } finally {
      suspectTurn.give();
      if (!this.#isOver) this.#main.resume();
    }
  }

  async #runSlice(first: ServiceBusDelivery): Promise<void> {
    const until = performance.now() + SLICE_MS;
    for (let next: ServiceBusDelivery | undefined = first; next; next = performance.now() < until ? await this.#fetch() : undefined) {
      if (next.isLost) continue;
      if (this.#isOver) {
        await next.release();
        return;
      }
      this.#sink.deliver(next);
      await this.#held.whenEmpty();
      if (next.isLost) throw unavailable("the lock of a suspect was lost while it ran");
      this.#interruptions = 0;
    }
  }

  async #fetch(): Promise<ServiceBusDelivery | undefined> {
    if (this.#isOver) return undefined;
    const { connection } = this.#environment;
    const [message] = await answered(
      this.#opened().receiveMessages(1, { maxWaitTimeInMs: FETCH_WAIT_MS }),
      2 * connection.requestTimeoutMs,
    );
    if (!message) return undefined;
    const delivery = this.#held.add(withoutSession(message), () => {});
    delivery.suspicion = this.#counts.unexplained(message) >= CRASHED_AFTER ? "crashed" : "careful";
    return delivery;
  }

  async #look(): Promise<boolean> {
    return (await this.#environment.connection.ask(() => peekFrom(this.#opened(), 0n, 1))).length > 0;
  }

  async #mend(error: unknown): Promise<void> {
    if (!isNotFound(error)) return;
    await this.#repair().catch((cause: unknown) =>
      this.#environment.logger.warn(`The queue "${this.#queue}" cannot be made anew: ${textOf(cause)}`),
    );
  }

  #opened(): ServiceBusReceiver {
    const { client } = this.#environment.connection;
    if (this.#receiver?.of !== client || this.#receiver.it.isClosed)
      this.#receiver = { of: client, it: client.createReceiver(this.#queue, RECEIVER_OPTIONS) };
    return this.#receiver.it;
  }

  async #wait(ms: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await delay(ms, woken.signal, this.#stopping.signal);
  }
}
