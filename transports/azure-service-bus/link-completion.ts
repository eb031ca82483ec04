import type { DeadlineQueue, Timed } from "../../src/util/deadline-queue.js";
import type { Linked } from "../../src/util/linked-set.js";
import type { ManagedClient } from "./connection.js";
import type { ServiceBusDelivery } from "./delivery.js";
import type { CompletionWaiter, DirectLink } from "./direct-link.js";
import type { Outcome } from "./outcome-turns.js";
import { notAnswered } from "./time-limit.js";

/**
 * A completion that the link is to tell the broker, until it is answered. There is one for each message: it is all that is made for it, without a promise,
 * and so it is its own place in the queues that it goes through.
 */
export class LinkCompletion implements Outcome, CompletionWaiter, Timed {
  readonly isAlone = false;
  link: Linked["link"];
  startedAt = 0;
  readonly #delivery: ServiceBusDelivery;
  readonly #direct: DirectLink;
  readonly #connection: ManagedClient;
  readonly #unanswered: DeadlineQueue<LinkCompletion>;
  readonly #ended: () => void;
  #client: ManagedClient["client"] | undefined;

  /**
   * @param unanswered holds it while the broker has not answered, and calls {@link giveUp} when that takes too long
   * @param ended called once: it is answered, or the client's affair
   */
  constructor(
    delivery: ServiceBusDelivery,
    direct: DirectLink,
    connection: ManagedClient,
    unanswered: DeadlineQueue<LinkCompletion>,
    ended: () => void,
  ) {
    this.#delivery = delivery;
    this.#direct = direct;
    this.#connection = connection;
    this.#unanswered = unanswered;
    this.#ended = ended;
  }

  tell(): void {
    if (!this.#delivery.isLost && this.#direct.complete(this.#delivery.message, this)) {
      this.#client = this.#connection.client;
      this.startedAt = performance.now();
      this.#unanswered.add(this);
    } else this.#leaveToClient();
  }

  answered(isTaken: boolean): void {
    this.#unanswered.delete(this);
    this.#connection.heard();
    // What was refused is settled for the link, so that nobody can try again: when its lock is over, the message comes again.
    if (isTaken) this.#delivery.completed();
    else this.#delivery.lose();
    this.#ended();
  }

  giveUp(): void {
    this.#direct.forget(this.#delivery.message);
    if (this.#client) this.#connection.failed(notAnswered(this.#connection.requestTimeoutMs), this.#client);
    this.#leaveToClient();
  }

  /** It tells again, over another link if need be. */
  #leaveToClient(): void {
    if (!this.#delivery.isLost) this.#delivery.completeByClient();
    this.#ended();
  }
}
