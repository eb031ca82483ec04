import type { Logger } from "../../src/contracts/logger.js";
import type { ManagedClient } from "./connection.js";
import type { Names } from "./mapping.js";
import type { Sender } from "./sender.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** What the receivers of one transport share. */
export interface ReceiverEnvironment {
  readonly connection: ManagedClient;
  readonly sender: Sender;
  readonly keeper: TopologyKeeper;
  readonly names: Names;
  readonly logger: Logger;
  /** How long locks are expected to last. */
  readonly lockDurationMs: number;
  lag(endpoint: string, messages: number): void;
  status(endpoint: string, status: "up" | "degraded" | "down", reason?: string): void;
}
