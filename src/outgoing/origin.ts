import type { IEventBus } from "../contracts/event-bus.js";
import type { OutgoingMessage } from "../contracts/transport.js";
import type { PendingBudget } from "./pending-budget.js";

/** What is sent takes this over from the message that is being handled meanwhile. A run of a consumer is one. */
export interface Origin {
  /** Who sends what is published in it: the bus that it belongs to. */
  readonly publisher: IEventBus;
  readonly endpoint: string;
  readonly messageId: string;
  readonly correlationId: string;
  readonly conversationId: string;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** "running": what is published is held back. "succeeded": it leaves directly. "failed": it is refused. */
  readonly phase: "running" | "succeeded" | "failed";
  /** Messages that wait for the end of the run, in the order of the calls; each has a place in {@link budget}. */
  readonly held: OutgoingMessage[];
  /** What bounds that which the run publishes; made when it first does. */
  budget: PendingBudget | undefined;
  /** How often the run has sent what looks the same: part of the derived ids. */
  countEqual(fingerprint: string): number;
}
