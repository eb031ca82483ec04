import type { Claim, ClaimRequest, Kept, Lease } from "../contracts/store.js";
import type { OutgoingMessage } from "../contracts/transport.js";
import { CLAIM_LEASE_MS } from "../options/defaults.js";
import { describeError } from "../retry/describe-error.js";
import { BusyElsewhere, RunAgain } from "./control.js";
import type { EndpointContext } from "./endpoint-context.js";
import type { IncomingMessage, PipelineStep } from "./incoming-message.js";
import { sendUntilConfirmed } from "./send-until-confirmed.js";

/** How long the relay leaves alone what a handler's own process is about to send. */
const RESERVED_MS = 60_000;
/** Whatever the store says, a busy message is not looked at in a loop without a pause. */
const LEAST_BUSY_MS = 5;
const NOTHING: readonly OutgoingMessage[] = [];

/**
 * Handles each message id once: claims it for the run, notes it as done when the run has succeeded, gives it back when it failed.
 * With a transactional store the claim is the handler's transaction, and what it sent is kept in the same commit.
 */
export function deduplicate(endpoint: EndpointContext, windowMs: number): PipelineStep {
  const { store, leases, budget } = endpoint.bus;
  const { transactional } = store.capabilities;
  // One function for the whole road of a first run: each more would cost every message a promise.
  return async (message, next) => {
    const request: ClaimRequest = {
      endpoint: endpoint.name,
      messageId: message.envelope?.messageId ?? "",
      windowMs,
      leaseMs: CLAIM_LEASE_MS,
      runTimeoutMs: endpoint.settings.handlerTimeoutMs,
    };
    let claim: Claim;
    try {
      claim = await store.claim(request);
    } catch (error) {
      claim = await endpoint.trouble.until(
        "the deduplication store takes no claim",
        error,
        () => store.claim(request),
        () => message.delivery.isLost,
      );
    }
    if (claim.state === "busy")
      throw new BusyElsewhere(claim.againInMs > LEAST_BUSY_MS ? Math.min(claim.againInMs, CLAIM_LEASE_MS) : LEAST_BUSY_MS);
    if (claim.state === "done") return alreadyDone(message, claim.unsent);
    const { lease } = claim;
    const kept = { lease, message, endpoint };
    message.transaction = lease.transaction;
    leases.keep(kept);
    try {
      await next(message);
    } catch (error) {
      leases.forget(kept);
      await release(lease);
      throw error;
    }
    leases.forget(kept);
    const held = transactional ? (message.run?.held.splice(0) ?? NOTHING) : NOTHING;
    let unsent: Kept | undefined;
    try {
      unsent = await lease.done(held, RESERVED_MS);
    } catch (error) {
      unsent = await believeTheStore(error, request);
    } finally {
      budget.give(held.length);
    }
    if (unsent) await sendKept(unsent);
  };

  async function alreadyDone(message: IncomingMessage, unsent: Kept | undefined): Promise<void> {
    message.duplicate = true;
    if (unsent) await sendKept(unsent);
  }

  /** The commit may have got through or not: only a new claim can tell. */
  async function believeTheStore(error: unknown, request: ClaimRequest): Promise<Kept | undefined> {
    const unsent = await endpoint.trouble.until("the deduplication store does not note what is done", error, () => askAgain(request));
    if (unsent === "undone") throw new RunAgain();
    return unsent;
  }

  /** What is kept of a run that got through; "undone" when the store has rolled it back. */
  async function askAgain(request: ClaimRequest): Promise<Kept | undefined | "undone"> {
    const claim = await store.claim(request);
    if (claim.state === "done") return claim.unsent;
    if (claim.state === "busy") throw new Error("the claim of the run before is still there");
    if (!transactional) return claim.lease.done(NOTHING, RESERVED_MS);
    await release(claim.lease);
    return "undone";
  }

  // A claim that cannot be given back ends with its lease; until then the message is "busy", which costs no attempt.
  async function release(lease: Lease): Promise<void> {
    try {
      await lease.release();
    } catch (error) {
      endpoint.bus.logger.warn(`The deduplication store did not take a claim back; it ends by itself: ${describeError(error).message}`);
    }
  }

  async function sendKept(unsent: Kept): Promise<void> {
    const setAside = await sendUntilConfirmed(endpoint, unsent.messages);
    // They are committed, so the run has succeeded whatever the broker says. What it refused for good stays unmarked: the
    // relay finds it when the reservation has run out, and sets it aside with its reason.
    if (setAside.length === 0) {
      try {
        await unsent.sent();
      } catch (error) {
        endpoint.bus.logger.warn(
          `The store did not mark messages as sent; they are sent once more, with the same ids: ${describeError(error).message}`,
        );
      }
    }
  }
}
