import type { Duration } from "./duration.js";

export interface RetryOptions {
  /** Runs again at once, in process, after the first. @default 3 */
  readonly immediate?: number;
  /** Upper bound of the first wait between immediate runs; doubled each time, full jitter. @default "100ms" */
  readonly immediateDelay?: Duration;
  /**
   * Then held by the broker, one entry a round; each round has its immediate retries again: (1 + 3) x (1 + 3) = 16 runs with the
   * defaults. Whole milliseconds, at most 7 days. @default ["10s", "1m", "10m"]
   */
  readonly delays?: readonly Duration[];
  /** Errors that are not worth another run: classes, or functions that say so. @default [] */
  readonly giveUpOn?: readonly (ErrorClass | ((error: unknown) => boolean))[];
}

export type ErrorClass = abstract new (...args: never[]) => Error;

export interface EndpointOptions {
  /** Handlers at one time in this process. @default 16 */
  readonly concurrency?: number;
  /** Deliveries held at one time in this process, running or waiting; also the bound of repeats after a crash. @default 2 x concurrency */
  readonly prefetch?: number;
  /**
   * `"key"`: messages of one `partitionKey` are handled one after the other, on all instances together. Delayed retries then wait in
   * the key's lane, so that a failing message holds up its key and nothing else. Fails at start where the transport cannot, and
   * where it orders only within one type (Kafka, unless the types share a topic) when the endpoint takes several types.
   * It decides arguments of the queue that cannot be changed later: another `order` is another endpoint name.
   * `"none"`: lanes within a process only; a delayed retry is overtaken. @default "none"
   */
  readonly order?: "key" | "none";
  /** `false` for none. */
  readonly retry?: RetryOptions | false;
  /**
   * For one run. A run that times out is not retried at once, only later. A handler that ignores `signal` frees its slot; with
   * `concurrency` of them still running the endpoint takes nothing more and its health is "stalled". @default "5m"
   */
  readonly handlerTimeout?: Duration;
  /** `false` for none. @default that of the bus */
  readonly deduplication?: DeduplicationOptions | false;
}

export interface DeduplicationOptions {
  /**
   * How long a handled id is remembered. At start it must exceed the sum of `retry.delays` plus one `handlerTimeout` (16 min 10 s
   * with the defaults): a copy can arrive that late. @default "30m" memory, "1d" Redis, "7d" PostgreSQL
   */
  readonly window?: Duration;
}
