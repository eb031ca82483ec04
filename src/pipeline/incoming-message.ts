import type { Lease } from "../contracts/store.js";
import type { Delivery, FailureHeaders } from "../contracts/transport.js";
import type { Envelope } from "../contracts/wire-format.js";
import type { Linked } from "../util/linked-set.js";
import type { Run } from "./run.js";

/** What becomes of a delivery; the transport is told once, at the end of its road. */
export type Settlement =
  | { readonly as: "complete" }
  | { readonly as: "retry"; readonly delayMs: number; readonly failure: FailureHeaders }
  | { readonly as: "dead-letter"; readonly failure: FailureHeaders }
  | { readonly as: "release" };

export const COMPLETE: Settlement = { as: "complete" };
export const RELEASE: Settlement = { as: "release" };

/** A claim under way, and who ends its run when it is lost. */
export interface KeptLease extends Linked {
  readonly lease: Lease;
  readonly message: IncomingMessage;
  readonly endpoint: { claimLost(message: IncomingMessage): void };
}

/** A delivery on its way through the pipeline. */
export class IncomingMessage {
  readonly delivery: Delivery;
  /** What the decode step made of the body; the steps after it have it. */
  envelope: Envelope | undefined;
  /** The number of the next run, or of the one under way; 1 is the first. */
  attempt = 1;
  /** Whether a run has begun: what was begun may go on while the bus stops. */
  begun = false;
  /** Handled before, or by another: completed without a run. */
  duplicate = false;
  /** That of the run under way. */
  claim: KeptLease | undefined;
  /** What the store lets this run write through; set with the claim. */
  transaction: unknown;
  /** The latest run. */
  run: Run | undefined;
  settlement: Settlement = COMPLETE;

  constructor(delivery: Delivery) {
    this.delivery = delivery;
  }
}

/** The road from a step on; `undefined` when it has ended within the call, as most do: each promise more costs as much as all that a step does. */
export type Stage = (message: IncomingMessage) => Promise<void> | undefined;

/** One step of the core around what comes after it. */
export type PipelineStep = (message: IncomingMessage, next: Stage) => Promise<void> | undefined;

/** Puts the steps one around the other, once for an endpoint: nothing is allocated for it when a message comes. */
export function pipeline(steps: readonly PipelineStep[], last: Stage): Stage {
  return steps.reduceRight<Stage>((next, step) => (message) => step(message, next), last);
}
