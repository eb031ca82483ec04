import type { Logger } from "../../src/contracts/logger.js";
import type { KafkaConnection } from "./connection.js";
import type { Names } from "./mapping.js";
import type { ResolvedOptions } from "./options.js";
import type { Sender } from "./sender.js";
import type { TopicDirectory } from "./topic-directory.js";
import type { TopologyKeeper } from "./topology-keeper.js";

/** What the receivers of one transport share. */
export interface ReceiverEnvironment {
  readonly connection: KafkaConnection;
  readonly directory: TopicDirectory;
  readonly keeper: TopologyKeeper;
  readonly sender: Sender;
  readonly names: Names;
  readonly options: ResolvedOptions;
  readonly logger: Logger;
  lag(endpoint: string, messages: number): void;
  status(endpoint: string, status: "up" | "degraded" | "down", reason?: string): void;
}
