/** The same for the bus and for the raw client. */
export const url: string = process.env["RABBITMQ_URL"] ?? "amqp://guest:guest@127.0.0.1:5673";
/** Counted; as many as WARM_UP come before them, so that what is measured is the code and not its compilation. */
export const MESSAGES = 40_000;
export const WARM_UP = 10_000;
export const BACKLOG: number = WARM_UP + MESSAGES;
export const OUTSTANDING = 1000;
export const PREFETCH = 100;
export const LATENCY_RATE = 500;
export const LATENCY_SECONDS = 4;
