import { unavailable } from "./errors.js";

/** A request that RabbitMQ has not answered by then is given up. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The answer to a request. @throws RabbitMqError "unavailable" when there is none in time, else what `request` throws */
export function answered<T>(request: Promise<T>): Promise<T> {
  return within(REQUEST_TIMEOUT_MS, request, () => unavailable("RabbitMQ does not answer"));
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
