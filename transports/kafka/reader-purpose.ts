import type { TopicRole } from "./assigned-partition.js";
import type { DeliveryHome } from "./delivery.js";
import type { DriverError } from "./driver.js";
import type { StartPosition } from "./options.js";

/**
 * "beginning": each partition at its first record, without a commit. "earliest": the same, committed for all partitions before anything is read, so that later
 * starts go on from there.
 */
export type BeginPosition = StartPosition | "earliest";

/** What a reader is for. */
export interface ReaderPurpose {
  readonly group: string;
  readonly prefetch: number;
  /** What to read; asked for each time a member is made. @throws DriverError */
  topics(): Promise<readonly TopicRole[]>;
  /** Where a topic begins of which the group has committed nothing. */
  startOf(topic: string): BeginPosition;
  /** Where a partition ends for this reader. */
  readonly endOf?: (topic: string, partition: number) => number;
  /** Everything assigned was read to its end. */
  readonly exhausted?: () => void;
  /** Told by the member that shares the partitions out: topics that some member reads and that are not there. Nobody has them when they come. */
  readonly unassigned?: (topics: readonly string[]) => void;
  /** It reads; or not, and why. */
  status(down: DriverError | undefined): void;
  readonly home: Omit<DeliveryHome, "settled" | "left" | "survived">;
}
