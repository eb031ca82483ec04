import type { ServiceBusReceiver } from "@azure/service-bus";
import { refusalOf } from "./administration.js";
import { textOf } from "./errors.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { peekFrom, sequenceNumberOf } from "./sequence-number.js";
import { answered } from "./time-limit.js";

/** What a {@link QueueWatch} asks of, and tells to, its owner. */
export interface WatchedLink {
  /** Whether more could have come. */
  hasRoom(): boolean;
  /** A message waits, and did so the last time, and nothing has come in between. */
  stalled(): void;
}

const LOOK_EVERY_MS = 20_000;

/**
 * Tells now and then how much waits in a queue, where the right to manage is there, and finds links that bring nothing though something waits: the client is known
 * to fall silent without an error. A look takes one operation of the service, and is left out while messages come.
 */
export class QueueWatch {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: string;
  readonly #receiver: () => ServiceBusReceiver;
  readonly #link: WatchedLink;
  #timer: NodeJS.Timeout | undefined;
  #hasArrived = true;
  #seen: bigint | undefined;
  #mayManage = true;

  constructor(environment: ReceiverEnvironment, endpoint: string, receiver: () => ServiceBusReceiver, link: WatchedLink) {
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#receiver = receiver;
    this.#link = link;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS).unref();
    void this.#tellLag();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A message has come. */
  arrived(): void {
    this.#hasArrived = true;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    await Promise.all([this.#tellLag(), this.#lookForStall()]);
  }

  async #lookForStall(): Promise<void> {
    const hasArrived = this.#hasArrived;
    this.#hasArrived = false;
    if (hasArrived || !this.#link.hasRoom()) {
      this.#seen = undefined;
      return;
    }
    const { connection, logger } = this.#environment;
    const { client } = connection;
    try {
      const [message] = await answered(peekFrom(this.#receiver(), 0n, 1), connection.requestTimeoutMs);
      connection.heard();
      const waits = message?.state === "active" ? sequenceNumberOf(message) : undefined;
      const isStalled = waits !== undefined && waits === this.#seen && !this.#hasArrived;
      this.#seen = isStalled ? undefined : waits;
      // Another process may hold it: then a new link does no harm.
      if (isStalled && this.#timer) this.#link.stalled();
    } catch (error) {
      connection.failed(error, client);
      logger.debug(`The queue of "${this.#endpoint}" cannot be looked at: ${textOf(error)}`);
    }
  }

  async #tellLag(): Promise<void> {
    if (!this.#mayManage) return;
    const { keeper, names, lag } = this.#environment;
    try {
      const { activeMessageCount } = await keeper.administration.client.getQueueRuntimeProperties(names.queue(this.#endpoint));
      if (this.#timer) lag(this.#endpoint, activeMessageCount);
    } catch (error) {
      if (refusalOf(error) === "forbidden") this.#mayManage = false;
    }
  }
}
