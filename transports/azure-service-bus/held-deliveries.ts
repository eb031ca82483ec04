import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import { LinkedSet } from "../../src/util/linked-set.js";
import { type DeliveryHome, ServiceBusDelivery } from "./delivery.js";
import type { LockKeeper } from "./lock-keeper.js";
import type { DeliveryCounts } from "./suspicion.js";

/** What an endpoint holds of one queue: each delivery from its arrival until the broker has taken the answer, or its lock is lost. */
export class HeldDeliveries {
  readonly #home: DeliveryHome;
  readonly #locks: LockKeeper | undefined;
  readonly #counts: DeliveryCounts;
  readonly #held: LinkedSet<ServiceBusDelivery> = new LinkedSet();
  #size = 0;
  #whenEmpty: (() => void)[] = [];

  /** @param locks keeps each message's lock; left out where one lock of the session is enough for all */
  constructor(home: DeliveryHome, counts: DeliveryCounts, locks: LockKeeper | undefined) {
    this.#home = home;
    this.#counts = counts;
    this.#locks = locks;
  }

  get size(): number {
    return this.#size;
  }

  /** @param done called once, when it is held no longer */
  add(message: ServiceBusReceivedMessage, done: (delivery: ServiceBusDelivery) => void): ServiceBusDelivery {
    const delivery = new ServiceBusDelivery(message, this.#home, (gone) => this.#gone(gone, done));
    this.#held.add(delivery);
    this.#size++;
    this.#locks?.keep(delivery);
    return delivery;
  }

  /** Nobody holds them any more. */
  loseAll(): void {
    for (const delivery of this.#held.all()) delivery.lose();
  }

  /** Those that no verb was called on. */
  get undecided(): readonly ServiceBusDelivery[] {
    return this.#held.all().filter(({ isDecided }) => !isDecided);
  }

  /** Resolves when nothing is held. */
  whenEmpty(): Promise<void> {
    if (this.#size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  #gone(delivery: ServiceBusDelivery, done: (delivery: ServiceBusDelivery) => void): void {
    this.#held.delete(delivery);
    this.#size--;
    this.#locks?.drop(delivery);
    if (delivery.isLost) this.#counts.survived(delivery.message);
    else this.#counts.forget(delivery.message);
    done(delivery);
    if (this.#size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}
