import type { FailureHeaders, SendResult } from "../contracts/transport.js";

const SHORT_DETAIL = 256;

/**
 * Has a copy of a delivery stored: without the long details of its failure when it is too large with them, and once more when what it was to
 * go to was missing and could be repaired.
 * @param send sends the copy, with these details of the failure
 * @param repair puts back what was missing; false: nothing was, or it cannot be
 * @throws TransportError when the copy was not stored, or may not be
 */
export async function storeCopy(
  failure: FailureHeaders,
  send: (details: FailureHeaders) => Promise<SendResult>,
  repair: () => Promise<boolean>,
): Promise<void> {
  let details = failure;
  let isMended = false;
  for (;;) {
    const result = await send(details);
    if (result.outcome === "sent") return;
    if (result.error.code === "too-large" && details === failure) details = shortDetails(failure);
    else if (result.error.code === "unroutable" && !isMended && (await repair())) isMended = true;
    else throw result.error;
  }
}

/** Those that are no longer than 256 characters: longer ones are left out first, when all together do not fit. Counts, dates and reasons are shorter. */
export function shortDetails(failure: FailureHeaders): FailureHeaders {
  return Object.fromEntries(Object.entries(failure).filter(([, value]) => value.length <= SHORT_DETAIL));
}
