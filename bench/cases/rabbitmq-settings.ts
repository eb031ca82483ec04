/** The same for the bus and for the raw client. */
export const url: string = process.env["RABBITMQ_URL"] ?? "amqp://guest:guest@127.0.0.1:5673";
export const BACKLOG = 30_000;
export const OUTSTANDING = 1000;
export const PREFETCH = 100;
export const LATENCY_RATE = 500;
export const LATENCY_SECONDS = 4;
