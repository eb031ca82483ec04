import type { Channel } from "amqplib";
import type { DeliverySink } from "../../src/contracts/transport.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import type { AloneRun, AloneRuns } from "./alone-runs.js";
import { closeChannel } from "./close-channel.js";
import type { ConsumerChannel } from "./consumer-channel.js";
import { type DeliveryHome, RabbitMqDelivery } from "./delivery.js";
import { serverAnswer, textOf, unavailable } from "./errors.js";
import { HeldDeliveries } from "./held-deliveries.js";
import { closedByServer, openedInTime } from "./open-channel.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { CRASHED_AFTER, identityOf } from "./suspicion.js";
import { answered, settledBy } from "./time-limit.js";

/** How often the queue is looked at. Nothing in it is urgent, and looking takes nothing out. */
const LOOK_EVERY_MS = 5_000;
/** So long suspects are run one after the other before the endpoint's own queue has its turn again, and the other way round. */
const SLICE_MS = 15_000;
/** A channel that goes while a suspect is held raises the suspect's count wherever it comes next: so it is held more rarely then. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

interface Session {
  readonly channel: Channel;
  readonly held: HeldDeliveries<RabbitMqDelivery>;
}

/**
 * Reads an endpoint's suspects, one at a time, and only while nothing else of the endpoint is held here, nor a suspect of another: whatever is
 * held when the process dies is counted against. So the queue is looked at without taking anything; when it has something, the endpoint's own consumer pauses,
 * what it holds ends, and then one suspect after the other is fetched and run.
 */
export class SuspectReader {
  readonly #environment: ReceiverEnvironment;
  readonly #queue: string;
  readonly #home: DeliveryHome;
  readonly #runs: AloneRuns;
  readonly #main: ConsumerChannel;
  readonly #sink: DeliverySink;
  readonly #repair: () => Promise<boolean>;
  readonly #stopping = new AbortController();
  #session: Session | undefined;
  #wake: () => void = () => {};
  #interruptions = 0;
  #run: Promise<void> | undefined;

  constructor(
    environment: ReceiverEnvironment,
    home: DeliveryHome,
    runs: AloneRuns,
    main: ConsumerChannel,
    sink: DeliverySink,
    repair: () => Promise<boolean>,
  ) {
    this.#environment = environment;
    this.#queue = home.source;
    this.#home = home;
    this.#runs = runs;
    this.#main = main;
    this.#sink = sink;
    this.#repair = repair;
  }

  /**
   * Whether suspects wait: then the endpoint's consumer should be paused, and {@link start} resumes it. A process that is restarted
   * after a crash so meets them before it holds anything else.
   */
  async areWaiting(): Promise<boolean> {
    try {
      return (await this.#look()) > 0;
    } catch (error) {
      this.#environment.logger.debug(`The queue "${this.#queue}" cannot be looked at: ${textOf(error)}`);
      return false;
    }
  }

  start(isMainPaused: boolean): void {
    this.#run = this.#supervise(isMainPaused);
  }

  /** Looks at the queue now. */
  look(): void {
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
  }

  async close(deadline: number): Promise<void> {
    await this.stop();
    const session = this.#session;
    this.#session = undefined;
    session?.held.flush();
    session?.held.lose();
    if (session) await settledBy(deadline, closeChannel(session.channel));
    // Without a connection it waits for one, which ends when that is closed for good.
    if (this.#environment.connection.model && this.#run) await settledBy(deadline, this.#run);
  }

  /** Never rejects. */
  async #supervise(isMainPaused: boolean): Promise<void> {
    let isPaused = isMainPaused;
    while (!this.#stopping.signal.aborted && !this.#environment.connection.isClosing) {
      let pauseMs = LOOK_EVERY_MS / 2 + (Math.random() * LOOK_EVERY_MS) / 2;
      try {
        if (isPaused || (await this.#look()) > 0) {
          // Once for each resume: it is counted.
          if (!isPaused) {
            isPaused = true;
            await this.#main.pause();
          }
          await this.#runSuspects();
          pauseMs = SLICE_MS;
        }
      } catch (error) {
        if (this.#stopping.signal.aborted || this.#environment.connection.isClosing) return;
        this.#leaveSession();
        pauseMs = backoffWithHalfJitter(this.#interruptions++, FIRST_WAIT_MS, LONGEST_WAIT_MS);
        this.#environment.logger.debug(`Reading "${this.#queue}" was interrupted: ${textOf(error)}`);
        await this.#mend(error);
      }
      if (this.#stopping.signal.aborted) return;
      if (isPaused) await this.#main.resume();
      isPaused = false;
      await this.#wait(pauseMs);
    }
  }

  async #runSuspects(): Promise<void> {
    while ((this.#main.held?.size ?? 0) > 0) await this.#main.held?.whenEmpty();
    if (!(await suspectTurn.take(SLICE_MS, this.#stopping.signal))) return;
    try {
      await this.#runSlice();
    } finally {
      suspectTurn.give();
    }
  }

  async #runSlice(): Promise<void> {
    const until = performance.now() + SLICE_MS;
    while (!this.#stopping.signal.aborted && performance.now() < until) {
      const session = await this.#opened();
      const message = await answered(session.channel.get(this.#queue));
      if (!message) return;
      await this.#runAlone(new RabbitMqDelivery(message, session.held, this.#home, "careful"));
      this.#interruptions = 0;
    }
  }

  /** @throws what may pass; the message is then on its way back */
  async #runAlone(delivery: RabbitMqDelivery): Promise<void> {
    const { held } = delivery;
    let run: AloneRun;
    try {
      run = await this.#runs.begin(identityOf(delivery.message));
    } catch (error) {
      await delivery.release();
      throw error;
    }
    if (this.#stopping.signal.aborted) await delivery.release();
    else if (!delivery.isGone) {
      if (run.unfinished >= CRASHED_AFTER) delivery.suspicion = "crashed";
      this.#sink.deliver(delivery);
      await held.whenEmpty();
      held.flush();
    }
    await (delivery.isAnswered ? this.#runs.settled(run) : this.#runs.survived(run));
    if (delivery.isGone) throw unavailable("the channel was lost while a suspect was held");
  }

  /** An answer that comes to it late has nobody who waits for it. */
  #leaveSession(): void {
    const session = this.#session;
    if (!session) return;
    this.#session = undefined;
    session.held.lose();
    void closeChannel(session.channel);
  }

  async #look(): Promise<number> {
    const { channel } = await this.#opened();
    return (await answered(channel.checkQueue(this.#queue))).messageCount;
  }

  async #mend(error: unknown): Promise<void> {
    if (serverAnswer(error)?.code !== 404) return;
    await this.#repair().catch((cause: unknown) =>
      this.#environment.logger.warn(`The queue "${this.#queue}" cannot be made anew: ${textOf(cause)}`),
    );
  }

  async #opened(): Promise<Session> {
    if (this.#session?.held.isOpen) return this.#session;
    const model = await this.#environment.connection.whenConnected();
    const channel = await openedInTime(model, () => model.createChannel());
    const held = new HeldDeliveries<RabbitMqDelivery>(channel);
    // Without this listener a channel that the server closes would take the connection with it.
    channel.on("error", (error) => {
      closedByServer(model);
      this.#environment.logger.debug(`The channel for suspects was closed: ${textOf(error)}`);
    });
    channel.once("close", () => held.lose());
    this.#session = { channel, held };
    return this.#session;
  }

  async #wait(ms: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await delay(ms, woken.signal, this.#stopping.signal);
  }
}
