/** What the runner tells a service when it starts it, in the variable {@link CONFIG_VARIABLE}. */
export interface ServiceConfig {
  readonly role: "publisher" | "consumer";
  readonly name: string;
  /** Where the ledgers are. */
  readonly folder: string;
  /** Which client library does the work. */
  readonly client: string;
  /** A mistake to make on purpose; see controls/. */
  readonly control: string | undefined;
  readonly store: string;
  /** For `createBus`, or for the client: how to reach the broker through this service's own proxies. */
  readonly transport: unknown;
  readonly seed: number;
  /** Publishers: messages a second, and how many may be outstanding. */
  readonly rate: number;
  readonly outstanding: number;
  readonly keys: number;
  /** Consumers, for each endpoint. */
  readonly concurrency: number;
  readonly prefetch: number;
  /** Most of what a handler works, in milliseconds; one in fifty works much longer. */
  readonly workMs: number;
  /** "plain": tasks that succeed, as any client library can do; "full": retries, dead letters, commands, keys and echoes too. */
  readonly workload: "plain" | "full";
}

export const CONFIG_VARIABLE = "TROLLEYBUS_FAULTS_SERVICE";

/** From the runner to a service. */
export type Command =
  | { readonly command: "pause" }
  | { readonly command: "resume" }
  /** Publishers: send a message whose handler works for so long. */
  | { readonly command: "long"; readonly ms: number }
  /** Publishers: send a message that kills its handler, behind so many innocent ones that are still being handled then. */
  | { readonly command: "poison"; readonly how: "exit" | "out-of-memory"; readonly innocents: number };

/** From a service to the runner, every half second. */
export interface Status {
  readonly status: "starting" | "running" | "paused";
  /** Publishers. */
  readonly acknowledged: number;
  readonly outstanding: number;
  /** Consumers. */
  readonly handled: number;
  readonly running: number;
}

/** From a service to the runner, right before a message kills it. */
export interface Dying {
  readonly dying: string;
}
