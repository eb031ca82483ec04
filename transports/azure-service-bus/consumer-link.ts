import type { MessageHandlers, ServiceBusReceivedMessage, ServiceBusReceiver } from "@azure/service-bus";
import type { Logger } from "../../src/contracts/logger.js";
import { backoffWithHalfJitter } from "../../src/util/backoff.js";
import { delay } from "../../src/util/delay.js";
import { RECEIVER_OPTIONS } from "./client.js";
import type { ManagedClient } from "./connection.js";
import { DirectLink } from "./direct-link.js";
import { AzureServiceBusError, isNotFound, mistakeInQueue, serviceAnswer, textOf, unavailable } from "./errors.js";
import { notAnswered, settledBy } from "./time-limit.js";

/** What a {@link ConsumerLink} asks of, and tells to, its owner. */
export interface ConsumerOwner {
  /** Called synchronously, in the broker's order. Must not throw. `done` once, when another may come in its place. */
  arrived(message: ServiceBusReceivedMessage, done: () => void): void;
  status(status: "up" | "down", reason?: string): void;
  /** The queue is gone. @returns whether it was made anew; `false` where that is not ours to do. @throws what may pass */
  repair(): Promise<boolean>;
}

/**
 * What the client calls around every link that it opens, beside the two handlers that it documents: the only way to hear that a link is open,
 * or was lost. Without them everything still works, more slowly: a lost link is then found by requests that are not answered.
 */
interface LinkHandlers extends MessageHandlers {
  preInitialize(): Promise<void>;
  postInitialize(): Promise<void>;
}

/** The client keeps no more than 2047 deliveries of a link apart, and loses those beyond. */
const MAX_CREDIT = 1_000;

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
const STEADY_AFTER_MS = 5_000;
const LONGEST_PAUSE_MS = 2_000;
/** The end of a link that nothing may be wrong with. */
const REPLACED = "replaced";

/** One receiver of the client, from its making to the settlement of what it brought. */
interface Session {
  readonly receiver: ServiceBusReceiver;
  readonly client: ManagedClient["client"];
  readonly subscription: { close(): Promise<void> };
  /** What is beneath it, from the first message on; `null` where the client alone is to be used. */
  direct: DirectLink | null | undefined;
  inFlight: number;
  /** It is to bring nothing more. */
  isOver: boolean;
  readonly end: (reason: string, error?: unknown) => void;
}

/**
 * Receives from one queue, over a link that comes back by itself, for ever, until closed. A link that is lost is not reopened but replaced: a message that came by the
 * old one keeps its lock, and any receiver of the queue can still settle it.
 */
export class ConsumerLink {
  readonly #connection: ManagedClient;
  readonly #queue: string;
  readonly #credit: number;
  readonly #owner: ConsumerOwner;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #retired = new Set<Session>();
  #session: Session | undefined;
  #spare: { readonly receiver: ServiceBusReceiver; readonly client: ManagedClient["client"] } | undefined;
  #isPaused = false;
  #resume: (() => void) | undefined;
  #run: Promise<void> | undefined;
  #leave: () => void = () => {};
  #started: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(connection: ManagedClient, queue: string, prefetch: number, owner: ConsumerOwner, logger: Logger) {
    this.#connection = connection;
    this.#queue = queue;
    this.#credit = Math.min(prefetch, MAX_CREDIT);
    this.#owner = owner;
    this.#logger = logger;
  }

  /** Settles and renews what came from this queue, by whatever link. */
  get receiver(): ServiceBusReceiver {
    const { client } = this.#connection;
    if (this.#session?.client === client && !this.#session.receiver.isClosed) return this.#session.receiver;
    if (this.#spare?.client !== client || this.#spare.receiver.isClosed)
      this.#spare = { client, receiver: client.createReceiver(this.#queue, RECEIVER_OPTIONS) };
    return this.#spare.receiver;
  }

  /** Completes what came over the link that there is now. */
  get direct(): DirectLink | undefined {
    return this.#session?.direct ?? undefined;
  }

  /**
   * Resolves when deliveries can arrive.
   * @throws AzureServiceBusError "topology" when the queue is not there, or may not be received from; "unavailable" when the connection closes first
   */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      this.#leave = this.#connection.onReset((reason) => this.#session?.end(reason));
      this.#connection.closing.addEventListener("abort", this.#giveUpStart, { once: true });
      if (this.#isPaused) this.#isReceiving();
      this.#run = this.#supervise();
    });
  }

  /** Takes no more from the queue, while what is held stays settleable. What arrives before the broker knows is still handed over. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    const session = this.#session;
    if (!session) return;
    session.end("paused");
    await settledBy(performance.now() + LONGEST_PAUSE_MS, session.subscription.close());
  }

  /** After {@link pause}. */
  resume(): void {
    this.#isPaused = false;
    this.#resume?.();
  }

  /** Begins anew on another link, without a word. */
  replace(): void {
    this.#session?.end(REPLACED);
  }

  /** Never rejects. */
  async close(deadline: number): Promise<void> {
    this.#closing.abort();
    this.#leave();
    this.#connection.closing.removeEventListener("abort", this.#giveUpStart);
    this.#giveUpStart();
    this.#resume?.();
    this.#session?.end("closed");
    if (this.#run) await settledBy(deadline, this.#run);
    const receivers = [...this.#retired].map(({ receiver }) => receiver);
    if (this.#spare) receivers.push(this.#spare.receiver);
    this.#retired.clear();
    await settledBy(deadline, Promise.allSettled(receivers.map((receiver) => receiver.close())));
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted || this.#connection.isClosing;
  }

  readonly #giveUpStart = (): void => {
    this.#started?.reject(unavailable("The bus was stopped before it had begun to receive."));
    this.#started = undefined;
  };

  /** Never rejects. */
  async #supervise(): Promise<void> {
    let failures = 0;
    while (!this.#isClosing) {
      if (this.#isPaused) {
        await this.#whenResumed();
        continue;
      }
      const openedAt = performance.now();
      const { reason, error } = await this.#live();
      if (this.#isClosing || this.#isPaused || reason === REPLACED) continue;
      this.#owner.status("down", reason);
      this.#logger.warn(`Receiving from the queue "${this.#queue}" stopped: ${reason}. It is begun anew.`);
      failures = performance.now() - openedAt >= STEADY_AFTER_MS ? 0 : failures + 1;
      if (failures > 1)
        await delay(backoffWithHalfJitter(failures, FIRST_WAIT_MS, LONGEST_WAIT_MS), this.#closing.signal, this.#connection.closing);
      if (error !== undefined) await this.#mend(error);
    }
  }

  /** One link from its opening to its end. */
  async #live(): Promise<{ reason: string; error: unknown }> {
    const { client } = this.#connection;
    let session: Session | undefined;
    let end: Session["end"] = () => {};
    const ended = new Promise<{ reason: string; error: unknown }>((resolve) => {
      end = (reason, error) => {
        if (session) session.isOver = true;
        resolve({ reason, error });
      };
    });
    let isOpen = false;
    let openings = 0;
    const handlers: LinkHandlers = {
      processMessage: (message) => {
        this.#connection.heard();
        if (!isOpen) opened();
        return session ? this.#handedOver(session, message) : Promise.resolve();
      },
      processError: async ({ error, errorSource }) => {
        // The client has sources that its types do not tell.
        if (errorSource !== "receive" && (errorSource as string) !== "internal") return;
        this.#connection.failed(error, client);
        end(serviceAnswer(error).text, error);
      },
      preInitialize: async () => {
        // The client opens a second link: the first was lost. On ours it must not, for then it would settle by the one that is gone.
        if (++openings > 1) end("the link was lost");
      },
      postInitialize: async () => opened(),
    };
    const opened = (): void => {
      isOpen = true;
      this.#connection.heard();
      if (this.#session === session && !this.#isPaused) this.#isReceiving();
    };
    const opening = setTimeout(() => {
      if (isOpen) return;
      this.#connection.failed(notAnswered(2 * this.#connection.requestTimeoutMs), client);
      end("the link was not opened in time");
    }, 2 * this.#connection.requestTimeoutMs);
    try {
      const receiver = client.createReceiver(this.#queue, RECEIVER_OPTIONS);
      const subscription = receiver.subscribe(handlers, { autoCompleteMessages: false, maxConcurrentCalls: this.#credit });
      session = { receiver, client, subscription, direct: undefined, inFlight: 0, isOver: false, end };
      this.#session = session;
      return await ended;
    } catch (error) {
      return { reason: textOf(error), error };
    } finally {
      clearTimeout(opening);
      if (session) this.#retire(session);
    }
  }

  /** By the client, which gives room for another when the promise is resolved. */
  #handedOver(session: Session, message: ServiceBusReceivedMessage): Promise<void> {
    if (session.direct) session.direct.handedOver(message);
    else if (session.direct === undefined) {
      const direct = DirectLink.beneath(message, (next, giveRoom) => {
        this.#connection.heard();
        this.#take(session, next, giveRoom);
      });
      session.direct = direct ?? null;
    }
    return new Promise((resolve) => this.#take(session, message, resolve));
  }

  #take(session: Session, message: ServiceBusReceivedMessage, giveRoom: () => void): void {
    session.inFlight++;
    this.#owner.arrived(message, () => {
      session.inFlight--;
      // Room for another, on a link that is to bring none, is not given.
      if (!session.isOver) giveRoom();
      else if (session.inFlight === 0) this.#letGo(session);
    });
  }

  /** Lets a link bring nothing more; it is closed when what it brought is settled. */
  #retire(session: Session): void {
    if (this.#session === session) this.#session = undefined;
    session.isOver = true;
    this.#retired.add(session);
    void session.subscription.close().catch(() => {});
    if (session.inFlight === 0) this.#letGo(session);
  }

  #letGo(session: Session): void {
    if (!this.#retired.delete(session)) return;
    void session.receiver.close().catch((error: unknown) => this.#logger.debug(`A link that was replaced did not close: ${textOf(error)}`));
  }

  #whenResumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = () => {
        this.#resume = undefined;
        resolve();
      };
      if (!this.#isPaused || this.#isClosing) this.#resume();
    });
  }

  #isReceiving(): void {
    this.#owner.status("up");
    this.#started?.resolve();
    this.#started = undefined;
  }

  /** Brings back a queue that is gone. What cannot pass by itself ends a start, and nothing else. */
  async #mend(error: unknown): Promise<void> {
    const told = mistakeInQueue(error, this.#queue);
    if (told) return this.#startFails(told);
    if (!isNotFound(error)) return;
    try {
      if (await this.#owner.repair()) return;
      this.#startFails(
        `The queue "${this.#queue}" is not there in Azure Service Bus. Set topology: "create", or make it as docs/azure-service-bus.md says.`,
      );
    } catch (cause) {
      this.#logger.warn(`The queue "${this.#queue}" cannot be made anew: ${textOf(cause)}`);
    }
  }

  #startFails(text: string): void {
    this.#started?.reject(new AzureServiceBusError("topology", text, { retryable: false }));
    this.#started = undefined;
  }
}
