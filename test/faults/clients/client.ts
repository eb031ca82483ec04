import type { Echo, FaultMessage, Order, Step, Task } from "../messages.js";
import type { ServiceConfig } from "../protocol.js";

/** The library under test, seen from the services: ours, or one that ours is compared with. */
export interface Client {
  /** Resolves when the library says that the message is safe. */
  publish(message: Task | Step | Order | Echo): Promise<void>;
  stop(): Promise<void>;
}

/** One run of a handler, as the library calls it. */
export interface Delivery {
  readonly endpoint: string;
  readonly message: FaultMessage;
  readonly key: string | undefined;
  readonly attempt: number;
  /** Publishes as a part of handling this message. */
  readonly publish: (message: Echo) => Promise<void>;
}

/** Rejecting is the handler's failure. */
export type Handler = (delivery: Delivery) => Promise<void>;

/** What a rejected `publish` says about the message. */
export interface PublishFailure {
  readonly outcome: "refused" | "unknown";
  readonly code: string;
}

/** A library: what a file of this folder exports. */
export interface ClientModule {
  openPublisher(config: ServiceConfig): Promise<Client>;
  openConsumer(config: ServiceConfig, handler: Handler): Promise<Client>;
  /** What the library's error says; a library that says nothing leaves everything unknown. */
  failureOf(error: unknown): PublishFailure;
}
