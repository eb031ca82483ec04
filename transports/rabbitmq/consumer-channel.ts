import type { Channel, ChannelModel, ConsumeMessage } from "amqplib";
import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { closeChannel } from "./close-channel.js";
import type { ManagedConnection } from "./connection.js";
import type { RabbitMqDelivery } from "./delivery.js";
import { RabbitMqError, type ServerAnswer, serverAnswer, textOf, unavailable } from "./errors.js";
import { HeldDeliveries } from "./held-deliveries.js";
import { closedByServer, openedInTime } from "./open-channel.js";
import { answered, settledBy } from "./time-limit.js";

/** What a {@link ConsumerChannel} asks of, and tells to, its owner. */
export interface ConsumerOwner {
  /** Called synchronously, in the broker's order. Must not throw. */
  delivered(message: ConsumeMessage, held: HeldDeliveries<RabbitMqDelivery>): void;
  /** A new channel is open; nothing has been delivered on it yet. */
  opened(held: HeldDeliveries<RabbitMqDelivery>): void;
  /** Its channel is gone, and these with it. */
  lost(deliveries: readonly RabbitMqDelivery[]): void;
  status(status: "up" | "down", reason?: string): void;
  /** The queue is gone. @returns whether it was made anew; `false` where that is not ours to do. @throws what may pass */
  repair(): Promise<boolean>;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
const LONGEST_CLOSE_MS = 2_000;
const STEADY_AFTER_MS = 5_000;

interface Session {
  readonly channel: Channel;
  readonly held: HeldDeliveries<RabbitMqDelivery>;
  consumerTag: string | undefined;
  /** The request to consume that is on its way. */
  consuming: Promise<void> | undefined;
  /** What the server said when it closed the channel. */
  answer: ServerAnswer | undefined;
  /** Ends the wait in the loop: the channel is gone or no longer wanted. */
  readonly end: (reason: string) => void;
  readonly ended: Promise<string>;
}

/** One consumer of one queue on a channel of its own. Both come back by themselves, for ever, until closed. */
export class ConsumerChannel {
  readonly #connection: ManagedConnection;
  readonly #queue: string;
  readonly #prefetch: number;
  readonly #owner: ConsumerOwner;
  readonly #logger: Logger;
  #session: Session | undefined;
  #epoch = 0;
  /** Who paused it and has not resumed it yet. */
  #pauses = 0;
  #leave: () => void = () => {};
  #started: { resolve: () => void; reject: (error: Error) => void } | undefined;
  readonly #giveUpStart = (): void => {
    this.#started?.reject(unavailable("The bus was stopped before it had begun to receive."));
    this.#started = undefined;
  };
  #failedOpenings = 0;

  constructor(connection: ManagedConnection, queue: string, prefetch: number, owner: ConsumerOwner, logger: Logger) {
    this.#connection = connection;
    this.#queue = queue;
    this.#prefetch = prefetch;
    this.#owner = owner;
    this.#logger = logger;
  }

  /** What is held on the channel that is open now. */
  get held(): HeldDeliveries<RabbitMqDelivery> | undefined {
    return this.#session?.held;
  }

  /**
   * Resolves when deliveries can arrive.
   * @throws RabbitMqError "topology" when the queue is not there, or may not be read; "unavailable" when the connection closes for good first
   */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      const { closing } = this.#connection;
      if (closing.aborted) return this.#giveUpStart();
      closing.addEventListener("abort", this.#giveUpStart, { once: true });
      this.#leave = this.#connection.listen({
        connected: (model) => void this.#supervise(model),
        disconnected: (reason) => {
          this.#epoch++;
          this.#session?.end(reason);
          this.#owner.status("down", reason);
        },
      });
    });
  }

  /**
   * Takes no more from the queue until each who paused it has resumed it, while what is held stays settleable. What arrives before the broker
   * knows is still delivered.
   */
  async pause(): Promise<void> {
    this.#pauses++;
    await this.#cancel();
  }

  async #cancel(): Promise<void> {
    const session = this.#session;
    await session?.consuming?.catch(() => {});
    const tag = session?.consumerTag;
    if (!session || tag === undefined) return;
    session.consumerTag = undefined;
    await answered(session.channel.cancel(tag)).catch((error: unknown) => this.#give(session, textOf(error)));
  }

  /** After {@link pause}. */
  async resume(): Promise<void> {
    this.#pauses--;
    const session = this.#session;
    // One that is on its way out takes nothing any more; the next one consumes by itself.
    if (session?.held.isOpen && this.#pauses === 0)
      await this.#consume(session).catch((error: unknown) => this.#give(session, textOf(error)));
  }

  /** How much waits in the queue, `undefined` while there is no channel to ask on. @throws what may pass */
  async waiting(): Promise<number | undefined> {
    const session = this.#session;
    return session && (await answered(session.channel.checkQueue(this.#queue))).messageCount;
  }

  /** Gives back everything that is held, in its order, and begins anew on another channel. */
  reopen(reason: string): void {
    if (this.#session) this.#give(this.#session, reason);
  }

  /** Flushes, gives back what is unsettled, and goes. Never rejects. */
  async close(deadline: number): Promise<void> {
    this.#epoch++;
    this.#leave();
    const session = this.#session;
    this.#session = undefined;
    this.#connection.closing.removeEventListener("abort", this.#giveUpStart);
    this.#giveUpStart();
    if (!session) return;
    session.held.flush();
    session.end("closed");
    this.#owner.lost(session.held.lose());
    await settledBy(deadline, closeChannel(session.channel));
  }

  async #supervise(model: ChannelModel): Promise<void> {
    const epoch = ++this.#epoch;
    let failures = 0;
    while (epoch === this.#epoch && this.#connection.isUsable(model)) {
      const openedAt = performance.now();
      const reason = await this.#live(model, epoch);
      if (epoch !== this.#epoch) return;
      this.#owner.status("down", reason);
      this.#logger.warn(`Receiving from the queue "${this.#queue}" stopped: ${reason}. It is begun anew.`);
      failures = performance.now() - openedAt >= STEADY_AFTER_MS ? 0 : failures + 1;
      if (failures > 1) await delay(backoffWithHalfJitter(failures, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#connection.closing);
    }
  }

  /** One channel from its opening to its end. @returns why it ended */
  async #live(model: ChannelModel, epoch: number): Promise<string> {
    let session: Session;
    try {
      session = await this.#open(model);
      this.#failedOpenings = 0;
    } catch (error) {
      const reason = textOf(error);
      // A connection on which no channel opens is broken, whatever it says of itself.
      if (epoch === this.#epoch && ++this.#failedOpenings > 1) {
        this.#failedOpenings = 0;
        this.#connection.reset(`no channel for receiving: ${reason}`);
      }
      return reason;
    }
    if (epoch !== this.#epoch) {
      session.held.lose();
      void closeChannel(session.channel);
      return "no longer wanted";
    }
    this.#session = session;
    this.#owner.opened(session.held);
    try {
      if (this.#pauses === 0) await this.#consume(session);
      if (this.#session === session) this.#isReceiving();
    } catch (error) {
      session.answer ??= serverAnswer(error);
      session.end(session.answer?.text ?? textOf(error));
    }
    const reason = await session.ended;
    if (this.#session === session) this.#session = undefined;
    this.#owner.lost(session.held.lose());
    // What it held is back in its place before the next channel takes from the queue, unless the server is slow to answer.
    await settledBy(performance.now() + LONGEST_CLOSE_MS, closeChannel(session.channel));
    if (epoch === this.#epoch) await this.#mend(session.answer);
    return reason;
  }

  async #open(model: ChannelModel): Promise<Session> {
    const channel = await openedInTime(model, () => model.createChannel());
    let end: (reason: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    const session: Session = {
      channel,
      held: new HeldDeliveries(channel),
      consumerTag: undefined,
      consuming: undefined,
      answer: undefined,
      end,
      ended,
    };
    channel.on("error", (error) => {
      session.answer = serverAnswer(error);
      closedByServer(model);
    });
    channel.on("handler-error", (error, event) =>
      this.#logger.error(`A listener of a RabbitMQ channel failed on "${event}": ${textOf(error)}`),
    );
    channel.once("close", () => {
      // At once, not in the loop's turn: a settlement that comes next must find the channel gone.
      this.#owner.lost(session.held.lose());
      end(session.answer?.text ?? "the channel was closed");
    });
    await answered(channel.prefetch(this.#prefetch));
    return session;
  }

  async #consume(session: Session): Promise<void> {
    if (session.consumerTag !== undefined) return;
    session.consuming ??= this.#beginToConsume(session).finally(() => {
      session.consuming = undefined;
    });
    await session.consuming;
    if (this.#pauses > 0) await this.#cancel();
  }

  async #beginToConsume(session: Session): Promise<void> {
    const take = (message: ConsumeMessage | null): void => {
      if (message !== null) {
        this.#owner.delivered(message, session.held);
        return;
      }
      session.answer = { code: 404, text: `the consumer was cancelled by RabbitMQ; was the queue "${this.#queue}" deleted?` };
      session.end(session.answer.text);
    };
    const { consumerTag } = await answered(session.channel.consume(this.#queue, take));
    session.consumerTag = consumerTag;
  }

  #isReceiving(): void {
    this.#owner.status("up");
    this.#started?.resolve();
    this.#started = undefined;
  }

  /** Brings back a queue that is gone. What cannot pass by itself ends a start, and nothing else. */
  async #mend(answer: ServerAnswer | undefined): Promise<void> {
    if (answer?.code === 403)
      return this.#startFails(`RabbitMQ does not let this user read the queue "${this.#queue}": ${answer.text}. Grant the right "read".`);
    if (answer?.code !== 404) return;
    try {
      if (await this.#owner.repair()) return;
      this.#startFails(
        `The queue "${this.#queue}" is not there in RabbitMQ (${answer.text}). Set topology: "create", or make it as docs/rabbitmq.md says.`,
      );
    } catch (error) {
      this.#logger.warn(`The queue "${this.#queue}" cannot be made anew: ${textOf(error)}`);
    }
  }

  #startFails(text: string): void {
    this.#started?.reject(new RabbitMqError("topology", text, { retryable: false }));
    this.#started = undefined;
  }

  #give(session: Session, reason: string): void {
    session.held.flush();
    this.#owner.lost(session.held.lose());
    session.end(reason);
  }
}
