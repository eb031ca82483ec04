import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import { type DeliveryHome, ServiceBusDelivery } from "./delivery.js";
import type { LockKeeper } from "./lock-keeper.js";
import type { DeliveryCounts } from "./suspicion.js";

/** What an endpoint holds of one queue: each delivery from its arrival until the broker has taken the answer, or its lock is lost. */
export class HeldDeliveries {
  readonly #home: DeliveryHome;
  readonly #locks: LockKeeper | undefined;
  readonly #counts: DeliveryCounts;
  readonly #held = new Map<ServiceBusDelivery, () => void>();
  #whenEmpty: (() => void)[] = [];

  /** @param locks keeps each message's lock; left out where one lock of the session is enough for all */
  constructor(home: DeliveryHome, counts: DeliveryCounts, locks: LockKeeper | undefined) {
    this.#home = home;
    this.#counts = counts;
    this.#locks = locks;
  }

  get size(): number {
    return this.#held.size;
  }

  /** @param done called once, when it is held no longer */
  add(message: ServiceBusReceivedMessage, done: (delivery: ServiceBusDelivery) => void): ServiceBusDelivery {
    const delivery = new ServiceBusDelivery(message, this.#home, this.#gone);
    this.#held.set(delivery, () => done(delivery));
    this.#locks?.keep(delivery);
    return delivery;
  }

  /** Nobody holds them any more. */
  loseAll(): void {
    for (const delivery of [...this.#held.keys()]) delivery.lose();
  }

  /** Those that no verb was called on. */
  get undecided(): readonly ServiceBusDelivery[] {
    return [...this.#held.keys()].filter(({ isDecided }) => !isDecided);
  }

  /** Resolves when nothing is held. */
  whenEmpty(): Promise<void> {
    if (this.#held.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  readonly #gone = (delivery: ServiceBusDelivery): void => {
    const done = this.#held.get(delivery);
    this.#held.delete(delivery);
    this.#locks?.drop(delivery);
    if (delivery.isLost) this.#counts.survived(delivery.message);
    else this.#counts.forget(delivery.message);
    done?.();
    if (this.#held.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  };
}
