export interface Health {
  /**
   * "starting": until `start()` has ended; where nothing is subscribed, until the connection is open, by `start()` or by the first publish.
   * "degraded": connected, but publishing is blocked, the store is down, or an endpoint is paused, has lost its queue or makes no progress.
   */
  readonly status: "starting" | "up" | "degraded" | "down" | "stopped";
  readonly publisher: { readonly status: "up" | "blocked" | "down"; readonly reason: string | undefined; readonly pending: number };
  readonly endpoints: readonly {
    readonly name: string;
    /** "paused": trouble of ours (the store, a refused retry), nothing is lost. "stalled": no progress, or too many strays. */
    readonly status: "up" | "paused" | "stalled" | "down";
    readonly reason: string | undefined;
    readonly inFlight: number;
    /** Handlers that ignored their time-out and still run. */
    readonly strays: number;
    /** Messages waiting in the broker, where the transport knows it (Kafka); at most 30 s old. */
    readonly lag: number | undefined;
    /** Since the start of this process. `stale`: settlements that came after the delivery was lost. */
    readonly counts: Readonly<Record<"handled" | "retried" | "deadLettered" | "duplicates" | "stale", number>>;
  }[];
  /** Only with a store that has one. `setAside`: refused for good by the broker. */
  readonly outbox:
    | { readonly waiting: number; readonly oldestAgeMs: number; readonly setAside: number; readonly reason: string | undefined }
    | undefined;
}
