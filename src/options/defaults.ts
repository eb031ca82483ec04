/** The defaults of every option, in one place. Times are milliseconds. */

/** Handlers at one time in one process. */
export const CONCURRENCY = 16;
/** `prefetch` is this many times the concurrency. */
export const PREFETCH_FACTOR = 2;
/** Runs again at once, in process, after the first. */
export const IMMEDIATE_RETRIES = 3;
/** Upper bound of the first wait between immediate runs. */
export const IMMEDIATE_DELAY_MS = 100;
/** Waits held by the broker, one entry a round. */
export const DELAYED_RETRIES_MS: readonly number[] = [10_000, 60_000, 600_000];
/** Longest of all times, in whole days: a timer of Node takes 2^31 - 1 ms, and fires at once when it is given more. */
export const LONGEST_TIME_MS: number = 24 * 86_400_000;
/** Longest delayed retry: a week. */
export const LONGEST_DELAY_MS: number = 7 * 86_400_000;
/** Time limit of one run of a handler. */
export const HANDLER_TIMEOUT_MS = 300_000;
/** Within it a publish is sent again after trouble. */
export const PUBLISH_TIMEOUT_MS = 30_000;
/** Publishes that wait for the broker, and messages held back by running consumers. */
export const MAX_PENDING_PUBLISHES = 10_000;
/** Largest message that is sent or taken. */
export const MAX_MESSAGE_BYTES: number = 1024 * 1024;
/** All of `stop()`: Kubernetes kills after 30 s. */
export const STOP_DEADLINE_MS = 25_000;
/** A claim of the deduplication store; renewed every third of it. */
export const CLAIM_LEASE_MS = 30_000;
/** All headers of a message together. */
export const MAX_HEADER_BYTES: number = 16 * 1024;
/** Ids, correlation ids and partition keys: Service Bus takes no more. */
export const MAX_ID_LENGTH = 128;
