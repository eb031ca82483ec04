/// <reference lib="esnext.disposable" preserve="true" />
import type { ConsumerOf } from "./consumer.js";
import type { DeadLetters } from "./dead-letters.js";
import type { Duration } from "./duration.js";
import type { EndpointOptions } from "./endpoint-options.js";
import type { IEventBus } from "./event-bus.js";
import type { Health } from "./health.js";
import type { MessageClass, MessageOf } from "./message-class.js";
import type { IncomingStep, OutgoingStep } from "./steps.js";
import type { Receivable } from "./wire-safe.js";

/** Where messages are received: its instances, in this process and others, share the work. Given before `start()`. */
export interface Endpoint {
  readonly name: string;
  /**
   * One consumer for a type (or several types) at this endpoint; a second one for the same type is an error: give it an endpoint
   * of its own, so that neither is run again because the other failed.
   */
  subscribe<C extends MessageClass>(types: (C | readonly C[]) & Receivable<C>, consumer: ConsumerOf<MessageOf<C>>): this;
  /** Takes an earlier subscription back, at start, in the broker. A subscription outlives the code that made it. */
  unsubscribe(...types: readonly MessageClass[]): this;
}

export interface Bus extends IEventBus, AsyncDisposable {
  /**
   * Subscribes at the service's own endpoint, named `service`. Never named after a class: a minifier or a rename would move
   * it silently, and two services with a class of one name would share, and so halve, their messages.
   */
  subscribe<C extends MessageClass>(types: (C | readonly C[]) & Receivable<C>, consumer: ConsumerOf<MessageOf<C>>): this;
  /**
   * Another endpoint, with its own name, limits and policies: 1 to 50 of `[a-z0-9.-]`, starting and ending with a letter or digit,
   * not starting with `amq.`, without a part `retry`, `suspect` or `dead-letter` between dots. The same name gives the same endpoint; options
   * given for it a second time are an error.
   */
  endpoint(name: string, options?: EndpointOptions): Endpoint;
  /** Adds a step around every consumer, in the order of the calls. */
  use(step: IncomingStep): this;
  /** Adds a step around everything that is sent. */
  useOutgoing(step: OutgoingStep): this;
  /**
   * Connects, creates or verifies the topology, starts to receive; rejects with everything that is wrong, at once. Publishing
   * needs no start: the first publish connects.
   */
  start(): Promise<void>;
  /**
   * Takes no new work, lets handlers finish until the deadline, aborts and gives back the rest, sends what is pending, closes.
   * Publishing works until the handlers are done, then rejects with `code: "stopped"`. Calling it again returns the same promise.
   * @default deadline "25s", for all of it (Kubernetes kills at 30 s)
   */
  stop(options?: { readonly deadline?: Duration }): Promise<void>;
  /**
   * The outbox: an `IEventBus` whose messages are written in the caller's transaction and leave after its commit; when it rolls back,
   * nothing leaves. `transaction` is what the store's client calls one: for PostgreSQL, a client on which BEGIN was said.
   * `publish` and `send` resolve when the row is written; P1 holds from the commit on. Errors of the database reach the caller as they
   * are (as `cause`): his transaction is broken. Within one transaction and key the order of the calls is kept.
   * The messages are sent by the relay of any started bus with the same store and `service`. Ids, correlation and checks are as in `publish`;
   * the ambient hold of a consumer does not apply. Cheap: make one for each transaction.
   * @throws TrolleybusError "unsupported" when the bus has no store that can.
   */
  within(transaction: object): IEventBus;
  /** Cheap and synchronous: for probes of readiness ("up" or "degraded") and liveness (no endpoint "stalled"). */
  health(): Health;
  /** Reads, sends back or drops what was given up on. */
  deadLetters(endpoint?: string): DeadLetters;
}
