import type { ConsumeContext } from "./consumer.js";

/** What a step sees: what the consumer is given, and the message. */
export interface IncomingContext extends ConsumeContext {
  readonly message: object;
}

/**
 * A step of the user's around the consumer, run at every attempt, inside the transaction of the store. Throwing is the
 * consumer's failure; not calling `next` settles the delivery as done. (The core's own steps, from decoding to retry, have the
 * same shape over the delivery; they are not part of the public API.)
 */
export type IncomingStep = (context: IncomingContext, next: () => Promise<void>) => Promise<void>;

/** A message on its way out, before it is encoded. */
export interface OutgoingContext {
  readonly message: object;
  readonly messageId: string;
  readonly messageType: string;
  /** The endpoint of a command; `undefined` for an event. */
  readonly destination: string | undefined;
  /** May be added to. */
  readonly headers: Record<string, string>;
}

export type OutgoingStep = (context: OutgoingContext, next: () => Promise<void>) => Promise<void>;
