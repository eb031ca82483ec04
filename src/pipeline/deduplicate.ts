import type { Claim, ClaimRequest, Kept, Lease } from "../contracts/store.js";
import type { OutgoingMessage } from "../contracts/transport.js";
import { checkedClaim, checkedKept, isClaim } from "../deduplication/store-answer.js";
import { CLAIM_LEASE_MS } from "../options/defaults.js";
import { describeError } from "../retry/describe-error.js";
import { BusyElsewhere, RunAgain } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage } from "./incoming-message.js";
import { sendUntilConfirmed } from "./send-until-confirmed.js";

/** How long the relay leaves alone what a handler's own process is about to send. */
const RESERVED_MS = 60_000;
/** Whatever the store says, a busy message is not looked at in a loop without a pause. */
const LEAST_BUSY_MS = 5;
const NOTHING: readonly OutgoingMessage[] = [];

/**
 * Handles each message id once: claims it for the run, notes it as done when the run has succeeded, gives it back when it failed.
 * With a transactional store the claim is the handler's transaction, and what it sent is kept in the same commit. What the store answers
 * at once is waited for by nobody: `undefined` then.
 */
export class Deduplicator {
  /** Whether what a handler published goes into the store with the commit, and is sent after it. */
  readonly keepsHeld: boolean;
  readonly #endpoint: EndpointContext;
  readonly #windowMs: number;

  constructor(endpoint: EndpointContext, windowMs: number) {
    this.#endpoint = endpoint;
    this.#windowMs = windowMs;
    this.keepsHeld = endpoint.bus.store.capabilities.transactional;
  }

  /** Claims the message for a run, or finds that it is a duplicate. @throws BusyElsewhere */
  claim(message: IncomingMessage): Promise<void> | undefined {
    const request = this.#requestFor(message);
    let answer: Promise<Claim> | Claim;
    try {
      answer = this.#endpoint.bus.store.claim(request);
    } catch (error) {
      answer = Promise.reject(error);
    }
    return isClaim(answer) ? this.#accept(message, answer) : this.#acceptLater(message, request, answer);
  }

  /** The run has succeeded. @throws RunAgain when the store has undone it */
  done(message: IncomingMessage): Promise<void> | undefined {
    const lease = this.#forget(message);
    const held = this.keepsHeld ? (message.run?.held.splice(0) ?? NOTHING) : NOTHING;
    let answer: Promise<Kept | undefined> | undefined;
    try {
      answer = lease.done(held, RESERVED_MS);
    } catch (error) {
      answer = Promise.reject(error);
    }
    if (answer !== undefined) return this.#noteLater(message, answer, held.length);
    message.run?.budget?.give(held.length);
    return undefined;
  }

  /** The run has failed. Never rejects. */
  release(message: IncomingMessage): Promise<void> {
    return this.#release(this.#forget(message));
  }

  #requestFor({ envelope }: IncomingMessage): ClaimRequest {
    const { name, settings } = this.#endpoint;
    return {
      endpoint: name,
      messageId: envelope?.messageId ?? "",
      windowMs: this.#windowMs,
      leaseMs: CLAIM_LEASE_MS,
      runTimeoutMs: settings.handlerTimeoutMs,
    };
  }

  async #acceptLater(message: IncomingMessage, request: ClaimRequest, answer: Promise<Claim>): Promise<void> {
    const { store } = this.#endpoint.bus;
    let claim: Claim;
    try {
      claim = checkedClaim(store, await answer);
    } catch (error) {
      claim = await this.#endpoint.trouble.until(
        "the deduplication store takes no claim",
        error,
        async () => checkedClaim(store, await store.claim(request)),
        () => message.delivery.isLost,
      );
    }
    await this.#accept(message, claim);
  }

  #accept(message: IncomingMessage, claim: Claim): Promise<void> | undefined {
    if (claim.state === "busy")
      throw new BusyElsewhere(claim.againInMs > LEAST_BUSY_MS ? Math.min(claim.againInMs, CLAIM_LEASE_MS) : LEAST_BUSY_MS);
    if (claim.state === "done") {
      message.duplicate = true;
      return claim.unsent ? this.#sendKept(claim.unsent) : undefined;
    }
    const { lease } = claim;
    message.claim = { lease, message, endpoint: this.#endpoint, link: undefined };
    message.transaction = lease.transaction;
    this.#endpoint.bus.leases.keep(message.claim);
    return undefined;
  }

  /** Takes the claim off the message: from here on nobody renews it. */
  #forget(message: IncomingMessage): Lease {
    const { claim } = message;
    if (!claim) throw new Error("A message without a claim was run.");
    message.claim = undefined;
    this.#endpoint.bus.leases.forget(claim);
    return claim.lease;
  }

  async #noteLater(message: IncomingMessage, answer: Promise<Kept | undefined>, held: number): Promise<void> {
    let unsent: Kept | undefined;
    try {
      unsent = checkedKept(this.#endpoint.bus.store, await answer);
    } catch (error) {
      unsent = await this.#believeTheStore(error, this.#requestFor(message));
    } finally {
      message.run?.budget?.give(held);
    }
    if (unsent) await this.#sendKept(unsent);
  }

  /** The commit may have got through or not: only a new claim can tell. */
  async #believeTheStore(error: unknown, request: ClaimRequest): Promise<Kept | undefined> {
    const unsent = await this.#endpoint.trouble.until("the deduplication store does not note what is done", error, () =>
      this.#askAgain(request),
    );
    if (unsent === "undone") throw new RunAgain();
    return unsent;
  }

  /** What is kept of a run that got through; "undone" when the store has rolled it back. */
  async #askAgain(request: ClaimRequest): Promise<Kept | undefined | "undone"> {
    const { store } = this.#endpoint.bus;
    const claim = checkedClaim(store, await store.claim(request));
    if (claim.state === "done") return claim.unsent;
    if (claim.state === "busy") throw new Error("the claim of the run before is still there");
    if (!this.keepsHeld) return checkedKept(store, await claim.lease.done(NOTHING, RESERVED_MS));
    await this.#release(claim.lease);
    return "undone";
  }

  // A claim that cannot be given back ends with its lease; until then the message is "busy", which costs no attempt.
  async #release(lease: Lease): Promise<void> {
    try {
      await lease.release();
    } catch (error) {
      this.#endpoint.bus.logger.warn(
        `The deduplication store did not take a claim back; it ends by itself: ${describeError(error).message}`,
      );
    }
  }

  async #sendKept(unsent: Kept): Promise<void> {
    const setAside = await sendUntilConfirmed(this.#endpoint, unsent.messages);
    // They are committed, so the run has succeeded whatever the broker says. What it refused for good stays unmarked: the
    // relay finds it when the reservation has run out, and sets it aside with its reason.
    if (setAside.length === 0) {
      try {
        await unsent.sent();
      } catch (error) {
        this.#endpoint.bus.logger.warn(
          `The store did not mark messages as sent; they are sent once more, with the same ids: ${describeError(error).message}`,
        );
      }
    }
  }
}
