import type { Claim, Kept, Store } from "../contracts/store.js";
import { show } from "../options/show.js";

/** Whether that is a whole claim. A store is anybody's code, and what is missing in its answer must not fail the message later. */
export function isClaim(answer: unknown): answer is Claim {
  return mistakeInClaim(answer) === undefined;
}

/** What `claim` has answered. @throws Error that names the store when it is no claim */
export function checkedClaim({ name }: Store, answer: unknown): Claim {
  if (isClaim(answer)) return answer;
  throw new Error(
    `the store "${name}" answered claim() with ${mistakeInClaim(answer)}; a claim is { state: "mine", lease }, { state: "done", unsent } or { state: "busy", againInMs }`,
  );
}

/** What `done` has answered. @throws Error that names the store when it is neither `undefined` nor what is to be sent */
export function checkedKept({ name }: Store, answer: unknown): Kept | undefined {
  if (isKeptOrNone(answer)) return answer ?? undefined;
  const given = asRecord(answer) ? "an object that has no messages or no sent()" : show(answer);
  throw new Error(
    `the store "${name}" answered done() with ${given}; it answers undefined, or { messages, sent } when there is something to send`,
  );
}

/** What `renew` has answered. @throws Error that names the store when it is no boolean */
export function checkedRenewal({ name }: Store, answer: unknown): boolean {
  if (typeof answer === "boolean") return answer;
  throw new Error(`the store "${name}" answered renew() with ${show(answer)}; it answers true, or false when the claim was lost`);
}

function mistakeInClaim(answer: unknown): string | undefined {
  const claim = asRecord(answer);
  if (!claim) return show(answer);
  switch (claim["state"]) {
    case "mine":
      return isLease(claim["lease"]) ? undefined : `the state "mine" and no lease that has renew(), done() and release()`;
    case "done":
      return isKeptOrNone(claim["unsent"]) ? undefined : `the state "done" and an unsent that is neither undefined nor { messages, sent }`;
    case "busy":
      return typeof claim["againInMs"] === "number" ? undefined : `the state "busy" and an againInMs that is no number`;
    default:
      return `the state ${show(claim["state"])}`;
  }
}

function isLease(value: unknown): boolean {
  const lease = asRecord(value);
  return typeof lease?.["done"] === "function" && typeof lease["release"] === "function" && typeof lease["renew"] === "function";
}

// Stores that are not written in TypeScript say null for nothing.
function isKeptOrNone(value: unknown): value is Kept | null | undefined {
  if (value === undefined || value === null) return true;
  const kept = asRecord(value);
  return Array.isArray(kept?.["messages"]) && typeof kept["sent"] === "function";
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
}
