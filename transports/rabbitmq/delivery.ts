import type { Message } from "amqplib";
import type { Delivery, FailureHeaders, NativeProperties } from "../../src/contracts/transport.js";
import type { HeldDeliveries, HeldDelivery } from "./held-deliveries.js";
import { headersOf, propertiesOf } from "./mapping.js";

/** What all deliveries of one queue share. */
export interface DeliveryHome {
  /** The queue's name in the broker. */
  readonly source: string;
  readonly isDeadLetter: boolean;
  /** Stores a copy for later. "reject": only the broker itself can carry the message. @throws RabbitMqError when it was not stored, or no such delay was planned */
  storeRetry(message: Message, delayMs: number, failure: FailureHeaders): Promise<"stored" | "reject">;
  /** Stores the dead letter. "reject": only the broker itself can carry the message. @throws RabbitMqError when it was not stored */
  storeDeadLetter(message: Message, failure: FailureHeaders): Promise<"stored" | "reject">;
  /** What `release` does with a delivery that is held: back to the queue now, or kept until the channel closes, when all go back. Does not reject. */
  release(delivery: RabbitMqDelivery): void | Promise<void>;
  /** Called once when it is settled, not when it is lost. */
  settled(delivery: RabbitMqDelivery): void;
  /** It was run alone, failed, and killed nobody. */
  survived?(delivery: RabbitMqDelivery): void;
  /** It goes back with its channel, which is about to close, though that still holds others. */
  givenUp(delivery: RabbitMqDelivery): void;
}

/** Open: nothing asked yet. Busy: a copy is on its way. */
type State = "open" | "busy" | "settled";

/** One message, held on one channel. There is one for each message, so methods are on the prototype and everything else on demand. */
export class RabbitMqDelivery implements Delivery, HeldDelivery {
  readonly message: Message;
  readonly held: HeldDeliveries<RabbitMqDelivery>;
  /** Decided before it is handed to the core. */
  suspicion: Delivery["suspicion"];
  readonly #home: DeliveryHome;
  #state: State = "open";
  #isLost = false;
  #isAnswered = false;
  #isCleared = false;
  #loss: AbortController | undefined;
  #properties: Partial<NativeProperties> | undefined;
  #headers: Readonly<Record<string, string>> | undefined;

  constructor(message: Message, held: HeldDeliveries<RabbitMqDelivery>, home: DeliveryHome, suspicion: Delivery["suspicion"]) {
    this.message = message;
    this.held = held;
    this.#home = home;
    this.suspicion = suspicion;
    held.add(message.fields.deliveryTag, this);
  }

  get tag(): number {
    return this.message.fields.deliveryTag;
  }

  get body(): Uint8Array {
    return this.message.content;
  }

  get properties(): Partial<NativeProperties> {
    this.#properties ??= propertiesOf(this.message);
    return this.#properties;
  }

  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= headersOf(this.message, this.#home.isDeadLetter);
    return this.#headers;
  }

  get source(): string {
    return this.#home.source;
  }

  get lost(): AbortSignal {
    if (!this.#loss) {
      this.#loss = new AbortController();
      if (this.#isLost) this.#loss.abort();
    }
    return this.#loss.signal;
  }

  /** Asked before every run: one that has not begun when the channel is about to close is not begun, and goes back with it. */
  get isLost(): boolean {
    if (!this.#isLost && this.held.isLeaving && this.#state === "open") this.#giveUp();
    return this.#isLost;
  }

  /** Whether its channel is gone, or it was given up. */
  get isGone(): boolean {
    return this.#isLost;
  }

  /** It was a suspect, and is none any more. */
  get isCleared(): boolean {
    return this.#isCleared;
  }

  /** Answered to the broker: completed, or replaced by a copy. Neither lost nor released. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  survived(): void {
    if (this.suspicion === "careful") this.#home.survived?.(this);
  }

  complete(): "settled" | "lost" {
    this.#begin("complete");
    return this.#end();
  }

  async retry(delayMs: number, failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#replaceBy("retry", () => this.#home.storeRetry(this.message, delayMs, failure));
  }

  async deadLetter(failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#replaceBy("deadLetter", () => this.#home.storeDeadLetter(this.message, failure));
  }

  async release(): Promise<"settled" | "lost"> {
    this.#begin("release");
    this.#state = "settled";
    if (this.#isLost) return "lost";
    await this.#home.release(this);
    return "settled";
  }

  /** To the queue's own dead-letter exchange, unrun, by the broker's own means. */
  reject(): void {
    this.#begin("reject");
    this.#end(true);
  }

  /** It need not run alone any more. */
  clear(): void {
    this.suspicion = "none";
    this.#isCleared = true;
  }

  #giveUp(): void {
    this.#isLost = true;
    this.held.keep(this.tag);
    this.#home.givenUp(this);
    this.#loss?.abort();
  }

  lose(): void {
    this.#isLost = true;
  }

  announceLoss(): void {
    this.#loss?.abort();
  }

  /** The copy is stored before the original is answered; when it is not, the original is still held and open. */
  async #replaceBy(verb: string, store: () => Promise<"stored" | "reject">): Promise<"settled" | "lost"> {
    this.#begin(verb);
    if (this.#isLost) return this.#end();
    let stored: "stored" | "reject";
    try {
      stored = await store();
    } catch (error) {
      if (this.#isLost) return this.#end();
      this.#state = "open";
      throw error;
    }
    return this.#end(stored === "reject");
  }

  #begin(verb: string): void {
    if (this.#state !== "open") {
      throw new Error(
        `${verb}() was called on a delivery of "${this.source}" that is settled already: exactly one verb may be called, once.`,
      );
    }
    this.#state = "busy";
  }

  #end(reject = false): "settled" | "lost" {
    this.#state = "settled";
    if (this.#isLost) return "lost";
    this.#isAnswered = true;
    if (reject) this.held.reject(this.tag);
    else this.held.settle(this.tag);
    this.#home.settled(this);
    return "settled";
  }
}
