/** The same for the bus and for the raw client. */
export const brokers: readonly string[] = (process.env["KAFKA_BROKERS"] ?? "127.0.0.1:19092").split(",");
export const PARTITIONS = 6;
/** Counted; as many as WARM_UP come before them, so that what is measured is the code and not its compilation. */
export const MESSAGES = 40_000;
export const WARM_UP = 10_000;
export const BACKLOG: number = WARM_UP + MESSAGES;
export const OUTSTANDING = 1000;
/** The raw client's arrays: four of them outstanding are as many messages. */
export const ARRAY = 250;
/** A request a message takes longer. */
export const SINGLE_MESSAGES = 10_000;
export const SINGLE_WARM_UP = 3_000;
/** What may run again when the process dies; of the raw client, which commits after each batch, it is what six batches of at most 1 MiB hold. */
export const PREFETCH = 2_000;
export const CONCURRENCY = 100;
export const KEYS = 100;
export const HANDLER_MS = 5;
export const KEYED_MESSAGES = 10_000;
/** The raw client handles a partition's records one after the other: at most 6 in 5 ms. */
export const RAW_KEYED_MESSAGES = 2_000;
export const LATENCY_RATE = 500;
export const LATENCY_SECONDS = 4;
export const WAITING = 100_000;
export const WAITING_SECONDS = 12;
export const IDLE_SECONDS = 10;
export const STOPS = 5;
