import type { Logger } from "../contracts/logger.js";
import type { Store } from "../contracts/store.js";
import { CLAIM_LEASE_MS } from "../options/defaults.js";
import type { KeptLease } from "../pipeline/incoming-message.js";
import { describeError } from "../retry/describe-error.js";
import { LinkedSet } from "../util/linked-set.js";
import { checkedRenewal } from "./store-answer.js";

/** Renews the claims of all runs under way, every third of their lease, with one timer for all of them. */
export class LeaseKeeper {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #kept: LinkedSet<KeptLease> = new LinkedSet();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  keep(kept: KeptLease): void {
    this.#kept.add(kept);
    if (this.#timer) return;
    this.#timer = setInterval(() => this.#renewAll(), CLAIM_LEASE_MS / 3);
    this.#timer.unref();
  }

  forget(kept: KeptLease): void {
    this.#kept.delete(kept);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #renewAll(): void {
    for (const kept of this.#kept.all()) void this.#renew(kept);
  }

  async #renew(kept: KeptLease): Promise<void> {
    try {
      const isHeld = checkedRenewal(this.#store, await kept.lease.renew(CLAIM_LEASE_MS));
      if (!isHeld && this.#kept.delete(kept)) kept.endpoint.claimLost(kept.message);
    } catch (error) {
      // The next round tries again; two of the three that a lease lasts may fail.
      this.#logger.warn(`A claim could not be renewed: ${describeError(error).message}`);
    }
  }
}
