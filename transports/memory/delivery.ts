import type { Delivery, FailureHeaders, NativeProperties } from "../../src/contracts/transport.js";
import { type StoredMessage, withFailure } from "./mapping.js";

/** What a delivery asks of the receiver that holds it, once, when it is settled. */
export interface DeliveryHolder {
  readonly source: string;
  /** The delays that `retry` may be called with. */
  readonly retryDelaysMs: readonly number[];
  complete(delivery: MemoryDelivery): void;
  /** @throws MemoryTransportError when no such delay was planned; the delivery is then still held. */
  checkDelay(delayMs: number): void;
  retry(delivery: MemoryDelivery, copy: StoredMessage, delayMs: number): void;
  deadLetter(delivery: MemoryDelivery, copy: StoredMessage): void;
  release(delivery: MemoryDelivery): void;
}

/** One message, held by one receiver. Its methods are on the prototype and its signal is made on demand: there is one for each message. */
export class MemoryDelivery implements Delivery {
  readonly message: StoredMessage;
  /** Where it was among its neighbours. */
  readonly position: number;
  /** Its index among what the receiver holds; the receiver's own note. */
  slot: number;
  readonly #holder: DeliveryHolder;
  #isSettled = false;
  #isLost = false;
  #loss: AbortController | undefined;

  constructor(holder: DeliveryHolder, message: StoredMessage, position: number, slot: number) {
    this.#holder = holder;
    this.message = message;
    this.position = position;
    this.slot = slot;
  }

  get body(): Uint8Array {
    return this.message.body;
  }

  get properties(): NativeProperties {
    return this.message.properties;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.message.headers;
  }

  get source(): string {
    return this.#holder.source;
  }

  /** A process that dies takes the broker with it: nothing is left to be suspected. */
  get suspicion(): "none" {
    return "none";
  }

  get lost(): AbortSignal {
    if (!this.#loss) {
      this.#loss = new AbortController();
      if (this.#isLost) this.#loss.abort();
    }
    return this.#loss.signal;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  complete(): "settled" | "lost" {
    if (!this.#settle("complete")) return "lost";
    this.#holder.complete(this);
    return "settled";
  }

  async retry(delayMs: number, failure: FailureHeaders): Promise<"settled" | "lost"> {
    this.#holder.checkDelay(delayMs);
    if (!this.#settle("retry")) return "lost";
    this.#holder.retry(this, withFailure(this.message, failure), delayMs);
    return "settled";
  }

  async deadLetter(failure: FailureHeaders): Promise<"settled" | "lost"> {
    if (!this.#settle("deadLetter")) return "lost";
    this.#holder.deadLetter(this, withFailure(this.message, failure));
    return "settled";
  }

  async release(): Promise<"settled" | "lost"> {
    if (!this.#settle("release")) return "lost";
    this.#holder.release(this);
    return "settled";
  }

  /** Called by the receiver when it closes: the message is somebody else's now. */
  lose(): void {
    this.#isLost = true;
  }

  /** Tells it to those who asked. Apart from `lose`, for a listener may settle other deliveries, which must know by then that they are lost. */
  announceLoss(): void {
    this.#loss?.abort();
  }

  /** Whether there is still something to settle. */
  #settle(verb: string): boolean {
    if (this.#isSettled) {
      throw new Error(
        `${verb}() was called on a delivery of "${this.source}" that is settled already: exactly one verb may be called, once.`,
      );
    }
    this.#isSettled = true;
    return !this.#isLost;
  }
}
