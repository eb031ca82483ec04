import type { ServiceBusReceiver } from "@azure/service-bus";
import { refusalOf } from "./administration.js";
import { textOf } from "./errors.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { peekFrom, sequenceNumberOf } from "./sequence-number.js";

/** What a {@link QueueWatch} asks of, and tells to, its owner. */
export interface WatchedLink {
  /** Whether more could have come. */
  hasRoom(): boolean;
  /** Messages wait, and did so the last time, and nothing has come in between: whether they wait for this link, or another process holds them, cannot be seen. */
  stalled(): void;
}

const LOOK_EVERY_MS = 20_000;
/** Messages are looked at so many at a time, and so many times at one look. */
const PAGE = 32;
const MAX_PAGES = 8;
const NONE: ReadonlySet<string> = new Set();

/**
 * Tells now and then how much waits in a queue, where the right to manage is there, and finds links that bring nothing though something waits: the client is known
 * to fall silent without an error. A look takes one operation of the service, or a few where retries are scheduled or others hold much, and is left out while messages come.
 */
export class QueueWatch {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: string;
  readonly #receiver: () => ServiceBusReceiver;
  readonly #link: WatchedLink;
  #timer: NodeJS.Timeout | undefined;
  #hasArrived = true;
  /** What waited at the last look. */
  #seen = NONE;
  /** What a fresh link has not brought, so that others must hold it. */
  #heldByOthers = NONE;
  /** Before it nothing waits. What is scheduled gets another number when it is due. */
  #from = 0n;
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
      this.#seen = NONE;
      return;
    }
    try {
      const waiting = await this.#waiting();
      const isStalled = !this.#hasArrived && [...waiting].some((each) => this.#seen.has(each) && !this.#heldByOthers.has(each));
      this.#seen = waiting;
      if (!isStalled || !this.#timer) return;
      this.#heldByOthers = waiting;
      this.#environment.logger.debug(`Nothing has come to "${this.#endpoint}" for a while, though messages wait: another link is opened.`);
      this.#link.stalled();
    } catch (error) {
      this.#environment.logger.debug(`The queue of "${this.#endpoint}" cannot be looked at: ${textOf(error)}`);
    }
  }

  /**
   * What is neither scheduled nor deferred, up to the first page with something that others are not known to hold. Each with the count of its deliveries: when whoever had
   * it is gone, it is another.
   */
  async #waiting(): Promise<ReadonlySet<string>> {
    const waiting = new Set<string>();
    let from = this.#from;
    for (let page = 0; page < MAX_PAGES; page++) {
      const messages = await this.#environment.connection.ask(() => peekFrom(this.#receiver(), from, PAGE));
      const last = messages.at(-1);
      if (!last) {
        if (waiting.size === 0) this.#from = 0n;
        break;
      }
      for (const message of messages) if (message.state === "active") waiting.add(`${sequenceNumberOf(message)} ${message.deliveryCount}`);
      from = sequenceNumberOf(last) + 1n;
      if (waiting.size === 0) this.#from = from;
      else if ([...waiting].some((each) => !this.#heldByOthers.has(each))) break;
    }
    return waiting;
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
