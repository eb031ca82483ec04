import { EventEmitter } from "node:events";
import { isDeepStrictEqual } from "node:util";
import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import { isClientTraced } from "./client-tracing.js";

/** A link of rhea, the client's AMQP library, as far as it is used here; nothing of it is taken for granted, see {@link DirectLink.beneath}. */
interface RheaLink extends EventEmitter {
  is_open(): boolean;
  add_credit(credit: number): void;
}

/** What rhea keeps of a message that has come. */
interface RheaDelivery {
  readonly link: RheaLink;
  /** What the broker was told. */
  readonly state?: { readonly descriptor?: { readonly value?: unknown } };
  readonly remote_settled: boolean;
  /** What it answered. */
  readonly remote_state?: { readonly error?: { readonly condition?: unknown; readonly description?: unknown } };
  accept(): void;
  /** Ours: on the delivery itself, for a table of what comes and goes with each message would keep them all alive (see `LinkedSet`). */
  [WAITING]?: CompletionWaiter | undefined;
}

interface RheaContext {
  readonly message: unknown;
  readonly delivery: RheaDelivery;
}

/** How the client makes its message, with {@link RECEIVER_OPTIONS}. */
type MessageConstructor = new (
  message: unknown,
  delivery: RheaDelivery,
  shouldReorderLockToken: true,
  receiveMode: "peekLock",
  skipParsingBodyAsJson: true,
  skipConvertingDate: true,
) => ServiceBusReceivedMessage;

/** @param giveRoom lets one more message come; called once at most */
type Take = (message: ServiceBusReceivedMessage, giveRoom: () => void) => void;

/** Waits for the broker's answer to a completion. */
export interface CompletionWaiter {
  /** @param isTaken else the broker has refused: the lock is over, or it could not store it */
  answered(isTaken: boolean): void;
}

const WAITING = Symbol("waiting");
/** https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html#type-accepted */
const ACCEPTED = 0x24;

/**
 * A link of the client for receiving, used beneath the client: half of what a message costs is what the client puts around its handler and around its completion, which is spans that
 * nobody asked for, a dozen promises and a timer. That is left out where it makes no difference, and each part only after the client was seen doing the same on this very link:
 * messages are taken from rhea once the client has handed over one that is in everything like the one that came out here, and completed by rhea once the broker has confirmed
 * one that the client completed so. Until then, and for everything else, there is the client.
 */
export class DirectLink {
  readonly #link: RheaLink;
  readonly #Message: MessageConstructor;
  readonly #take: Take;
  /** The client's listener. */
  readonly #client: (context: RheaContext) => void;
  /** What the next one comes out as here, until the client hands it over. */
  #expected: ServiceBusReceivedMessage | undefined;
  #mayComplete = false;

  private constructor(link: RheaLink, first: ServiceBusReceivedMessage, take: Take) {
    this.#link = link;
    this.#Message = first.constructor as MessageConstructor;
    this.#take = take;
    this.#client = link.listeners("message")[0] as (context: RheaContext) => void;
    link.prependListener("message", this.#expect);
    link.on("settled", this.#settled);
  }

  /**
   * @param first came over the link by the client
   * @param take is given what comes without it, in the broker's order
   * @returns `undefined` where the client is traced, for its spans would be missed, or has other insides than is known
   */
  static beneath(first: ServiceBusReceivedMessage, take: Take): DirectLink | undefined {
    const delivery = deliveryOf(first);
    const link = delivery?.link as Partial<RheaLink> | undefined;
    const isKnown =
      typeof delivery?.accept === "function" &&
      typeof link?.is_open === "function" &&
      typeof link.add_credit === "function" &&
      link instanceof EventEmitter &&
      link.listeners("message").length === 1;
    return isKnown && !isClientTraced() ? new DirectLink(link as RheaLink, first, take) : undefined;
  }

  /** The client hands over another message, within rhea's call. When it is the one that was made here, the next need not come by the client. */
  handedOver(message: ServiceBusReceivedMessage): void {
    const expected = this.#expected;
    this.#expected = undefined;
    if (!expected || !isDeepStrictEqual(message, expected)) return;
    this.#link.removeListener("message", this.#client);
    this.#link.on("message", this.#received);
  }

  /**
   * Tells the broker that a message is handled, at the end of this turn of the event loop.
   * @returns `false` when it was not told, for the client is to do it
   */
  complete(message: ServiceBusReceivedMessage, waiter: CompletionWaiter): boolean {
    const delivery = deliveryOf(message);
    if (!this.#mayComplete || delivery?.link !== this.#link || delivery.remote_settled || !this.#link.is_open()) return false;
    delivery[WAITING] = waiter;
    delivery.accept();
    return true;
  }

  /** No answer is waited for any more. */
  forget(message: ServiceBusReceivedMessage): void {
    const delivery = deliveryOf(message);
    if (delivery) delivery[WAITING] = undefined;
  }

  readonly #expect = ({ message, delivery }: RheaContext): void => {
    this.#link.removeListener("message", this.#expect);
    // A copy, for the client writes into it.
    this.#expected = this.#made({ message: Object.assign(Object.create(Object.getPrototypeOf(message)), message), delivery });
  };

  readonly #received = (context: RheaContext): void => {
    // As the client: what comes over a link that closes could not be settled by it.
    if (!this.#link.is_open()) return;
    const message = this.#made(context);
    if (message) this.#take(message, this.#giveRoom);
    else this.#client(context);
  };

  readonly #giveRoom = (): void => {
    if (this.#link.is_open()) this.#link.add_credit(1);
  };

  #made({ message, delivery }: RheaContext): ServiceBusReceivedMessage | undefined {
    try {
      return new this.#Message(message, delivery, true, "peekLock", true, true);
    } catch {
      return undefined;
    }
  }

  readonly #settled = ({ delivery }: RheaContext): void => {
    if (!delivery.remote_settled) return;
    const error = delivery.remote_state?.error;
    const isTaken = !error?.condition && !error?.description;
    const waiter = delivery[WAITING];
    if (waiter) {
      delivery[WAITING] = undefined;
      waiter.answered(isTaken);
    } else if (isTaken && delivery.state?.descriptor?.value === ACCEPTED) this.#mayComplete = true;
  };
}

function deliveryOf(message: ServiceBusReceivedMessage): RheaDelivery | undefined {
  return (message as { readonly delivery?: RheaDelivery }).delivery;
}
