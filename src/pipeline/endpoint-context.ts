import type { Logger } from "../contracts/logger.js";
import type { IncomingStep } from "../contracts/steps.js";
import type { Store } from "../contracts/store.js";
import type { LeaseKeeper } from "../deduplication/lease-keeper.js";
import type { ConsumerRegistry } from "../endpoint/consumer-registry.js";
import type { Lanes } from "../endpoint/lanes.js";
import type { RememberedRetries } from "../endpoint/remembered-retries.js";
import type { Trouble } from "../endpoint/trouble.js";
import type { Turns } from "../endpoint/turns.js";
import type { EndpointSettings } from "../options/endpoint-settings.js";
import type { Publisher } from "../outgoing/publisher.js";
import type { Sender } from "../outgoing/sender.js";
import type { WireFormats } from "../wire/wire-formats.js";
import type { IncomingMessage } from "./incoming-message.js";

/** What became of deliveries since the start of this process. */
export type Counts = Record<"handled" | "retried" | "deadLettered" | "duplicates" | "stale", number>;

/** What the whole bus shares, for the steps of all its endpoints. */
export interface BusContext {
  readonly logger: Logger;
  readonly store: Store;
  readonly formats: WireFormats;
  readonly publisher: Publisher;
  readonly sender: Sender;
  readonly leases: LeaseKeeper;
  /** Whether the injected bus joins the message being handled. */
  readonly ambientContext: boolean;
  readonly userSteps: readonly IncomingStep[];
  readonly maxMessageBytes: () => number;
}

/** What the steps of one endpoint work with. */
export interface EndpointContext {
  readonly bus: BusContext;
  readonly name: string;
  readonly settings: EndpointSettings;
  readonly consumers: ConsumerRegistry;
  readonly turns: Turns;
  readonly lanes: Lanes;
  readonly trouble: Trouble;
  readonly remembered: RememberedRetries;
  readonly counts: Counts;
  /** Aborts when `stop()` begins: what only waits gives up waiting. */
  readonly closing: AbortSignal;
  /** Aborts at the deadline of `stop()`: nothing is waited for any more. */
  readonly abandoned: AbortSignal;
  /** Ends the run of a message whose claim another has now. */
  claimLost(message: IncomingMessage): void;
}
