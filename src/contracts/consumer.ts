import type { IEventBus } from "./event-bus.js";

/**
 * Handles messages of type `T`. Returning settles the delivery as done; throwing has it retried and at last dead-lettered.
 *
 * It may run more than once for one message and must then be harmless, unless it writes through the transaction of the
 * PostgreSQL store. One consumer for several types takes a union and tells them apart with `instanceof`.
 */
export interface IConsumer<in T extends object> {
  readonly consume: (message: T, context: ConsumeContext) => Promise<void> | void;
}

/** A consumer as a function. */
export type ConsumeFunction<in T extends object> = IConsumer<T>["consume"];

/** A consumer as a class: one instance a run (each retry gets a new one), made by the `resolve` option, else by `new` without arguments. */
export type ConsumerClass<out C extends IConsumer<never> = IConsumer<never>> = new (...args: never[]) => C;

/** What is known about the message being handled, and the way to publish as a part of handling it. */
export interface ConsumeContext extends IEventBus {
  readonly messageId: string;
  readonly messageType: string;
  readonly correlationId: string;
  /** The same on all messages that come of one first message. */
  readonly conversationId: string;
  /** The id of the message whose handling caused this one; absent on the first of a conversation. */
  readonly causationId: string | undefined;
  readonly partitionKey: string | undefined;
  readonly sentAt: Date;
  readonly headers: Readonly<Record<string, string>>;
  readonly endpoint: string;
  /** 1 for the first run; immediate and delayed retries both count. A run cut short by a crash is not counted. */
  readonly attempt: number;
  /**
   * Aborts when the handler's time is up, when the delivery was lost to another instance, or at the deadline of `stop()`.
   * From then on `publish` and `send` reject: what this run does no longer counts.
   */
  readonly signal: AbortSignal;
}

/** A consumer of `C`'s message in any of its three forms. */
export type ConsumerOf<T extends object> = IConsumer<T> | ConsumeFunction<T> | ConsumerClass<IConsumer<T>>;
