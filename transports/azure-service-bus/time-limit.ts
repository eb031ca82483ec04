import { AzureServiceBusError } from "./errors.js";

/** The answer to a request. @throws AzureServiceBusError "timeout" when there is none within `ms`, else what `request` throws */
export function answered<T>(request: Promise<T>, ms: number): Promise<T> {
  return within(ms, request, () => notAnswered(ms));
}

export function notAnswered(ms: number): AzureServiceBusError {
  return new AzureServiceBusError("timeout", `Azure Service Bus has not answered within ${ms} ms`, { retryable: true });
}

/** Waits for `work`, at most until `deadline` (a `performance.now()` time), whatever comes of it. */
export async function settledBy(deadline: number, work: Promise<unknown>): Promise<void> {
  await within(deadline - performance.now(), work, () => new Error("the time is over")).catch(() => {});
}

// The work itself goes on after its time; the race has a handler on it, so that a later rejection is nobody's surprise.
async function within<T>(ms: number, work: Promise<T>, otherwise: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(otherwise()), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
