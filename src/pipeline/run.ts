import type { PublishOptions } from "../contracts/event-bus.js";
import type { IncomingContext } from "../contracts/steps.js";
import type { Delivery, OutgoingMessage } from "../contracts/transport.js";
import type { Envelope } from "../contracts/wire-format.js";
import type { Origin } from "../outgoing/origin.js";
import type { PendingBudget } from "../outgoing/pending-budget.js";
import type { Publisher } from "../outgoing/publisher.js";
import type { Timed } from "../util/deadline-queue.js";
import { tameThrown } from "./tame-thrown.js";
import { userHeaders } from "./user-headers.js";

/** One run of a consumer: what it is given as context, and what it has published so far. */
export class Run implements IncomingContext, Origin, Timed {
  readonly message: object;
  readonly endpoint: string;
  readonly attempt: number;
  readonly startedAt: number = performance.now();
  readonly held: OutgoingMessage[] = [];
  budget: PendingBudget | undefined = undefined;
  /** What the store lets the handler write through. */
  readonly transaction: unknown;
  phase: "running" | "succeeded" | "failed" = "running";
  link: Timed["link"] = undefined;
  readonly #envelope: Envelope;
  readonly #delivery: Delivery;
  readonly publisher: Publisher;
  #headers: Readonly<Record<string, string>> | undefined;
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;
  #equal: Map<string, number> | undefined;
  #reject: ((error: Error) => void) | undefined;
  readonly #lost: (run: Run) => void;
  #onLost: (() => void) | undefined;

  /** @param lost is told when the delivery is lost, once somebody has looked at the signal; it ends the run */
  constructor(
    received: { readonly message: object; readonly envelope: Envelope; readonly delivery: Delivery },
    endpoint: string,
    attempt: number,
    publisher: Publisher,
    transaction: unknown,
    lost: (run: Run) => void,
  ) {
    this.message = received.message;
    this.endpoint = endpoint;
    this.attempt = attempt;
    this.transaction = transaction;
    this.#envelope = received.envelope;
    this.#delivery = received.delivery;
    this.publisher = publisher;
    this.#lost = lost;
  }

  get messageId(): string {
    return this.#envelope.messageId;
  }
  get messageType(): string {
    return this.#envelope.messageType;
  }
  get correlationId(): string {
    return this.#envelope.correlationId;
  }
  get conversationId(): string {
    return this.#envelope.conversationId;
  }
  get causationId(): string | undefined {
    return this.#envelope.causationId;
  }
  get partitionKey(): string | undefined {
    return this.#envelope.partitionKey;
  }
  get sentAt(): Date {
    return this.#envelope.sentAt;
  }
  get traceparent(): string | undefined {
    return this.#envelope.traceparent;
  }
  get tracestate(): string | undefined {
    return this.#envelope.tracestate;
  }
  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= userHeaders(this.#delivery.headers);
    return this.#headers;
  }

  // Most handlers never look at it, and a controller costs more than the rest of the run.
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#abortReason) this.#controller.abort(this.#abortReason);
      else if (this.phase === "running") this.#watchForLoss();
    }
    return this.#controller.signal;
  }

  publish(message: object, options?: PublishOptions): Promise<void> {
    return this.publisher.submit(undefined, message, options, this);
  }

  send(endpoint: string, message: object, options?: PublishOptions): Promise<void> {
    return this.publisher.submitCommand(endpoint, message, options, this);
  }

  countEqual(fingerprint: string): number {
    this.#equal ??= new Map();
    const before = this.#equal.get(fingerprint) ?? 0;
    this.#equal.set(fingerprint, before + 1);
    return before;
  }

  /** The handler has ended within its call. @throws what has ended the run from outside meanwhile */
  end(): void {
    this.#end("succeeded");
    if (this.#abortReason) throw this.#abortReason;
  }

  /** Waits for the handler, or for {@link abort}, whichever is first. `settled` is called when the handler itself has ended. */
  race(handler: Promise<void>, settled: (run: Run) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      // It may have been aborted before the handler's first await.
      if (this.#abortReason) reject(this.#abortReason);
      handler.then(
        () => {
          this.#end("succeeded");
          settled(this);
          resolve();
        },
        (error: unknown) => {
          this.#end("failed");
          settled(this);
          reject(tameThrown(error));
        },
      );
    });
  }

  /** Ends the run from outside: its signal aborts, it can publish nothing more, and whoever waits for it gets `error`. */
  abort(error: Error): void {
    if (this.phase !== "running") return;
    this.phase = "failed";
    this.#abortReason = error;
    this.#controller?.abort(error);
    this.#reject?.(error);
  }

  #end(phase: "succeeded" | "failed"): void {
    if (this.phase === "running") this.phase = phase;
    if (this.#onLost) this.#delivery.lost.removeEventListener("abort", this.#onLost);
  }

  #watchForLoss(): void {
    const { lost } = this.#delivery;
    if (lost.aborted) this.#lost(this);
    else {
      this.#onLost = () => this.#lost(this);
      lost.addEventListener("abort", this.#onLost, { once: true });
    }
  }
}
