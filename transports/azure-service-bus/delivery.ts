import type { ServiceBusReceivedMessage } from "@azure/service-bus";
import type { Delivery, FailureHeaders, NativeProperties } from "../../src/contracts/transport.js";
import type { Linked } from "../../src/util/linked-set.js";
import { bodyOf, headersOf, propertiesOf } from "./mapping.js";

/** How the broker is told. */
export type Verdict =
  | { readonly as: "complete" }
  | { readonly as: "release" }
  | { readonly as: "dead-letter"; readonly failure: FailureHeaders };

/** What all deliveries of one queue share. */
export interface DeliveryHome {
  /** The queue's name in the broker. */
  readonly source: string;
  readonly isDeadLetter: boolean;
  /** Stores a copy for later. @throws AzureServiceBusError when it was not stored, or no such delay was planned */
  storeRetry(message: ServiceBusReceivedMessage, delayMs: number, failure: FailureHeaders): Promise<void>;
  /** Tells the broker, as often as it takes while the lock lasts. @throws AzureServiceBusError when it refuses */
  settle(delivery: ServiceBusDelivery, verdict: Verdict): Promise<"settled" | "lost">;
  /** Completes it without the client where that goes, and tells the delivery what came of it. @returns whether that goes */
  completeByLink?(delivery: ServiceBusDelivery): boolean;
  /** It was run alone, failed, and killed nobody. */
  survived?(delivery: ServiceBusDelivery): void;
}

/** The lock of a message, as its keeper knows it. */
export interface MessageLock extends Linked {
  readonly delivery: ServiceBusDelivery;
  /** On the clock of `performance.now()`. */
  until: number;
  durationMs: number;
  isRenewing: boolean;
}

/** Open: nothing asked yet. Busy: the broker is being told. */
type State = "open" | "busy" | "settled";

/** One message under its lock. There is one for each message, so methods are on the prototype and everything else on demand. */
export class ServiceBusDelivery implements Delivery, Linked {
  readonly message: ServiceBusReceivedMessage;
  /** Its place in the set of whoever holds it. */
  link: Linked["link"];
  /** Whoever renews it knows it. */
  lock: MessageLock | undefined;
  /** Decided before it is handed to the core. */
  suspicion: Delivery["suspicion"] = "none";
  readonly #home: DeliveryHome;
  /** Called once: the broker has taken the answer, or the lock is lost. */
  readonly #gone: (delivery: ServiceBusDelivery) => void;
  #state: State = "open";
  #isGone = false;
  #isLost = false;
  #loss: AbortController | undefined;
  #properties: Partial<NativeProperties> | undefined;
  #headers: Readonly<Record<string, string>> | undefined;
  #body: Uint8Array | undefined;

  constructor(message: ServiceBusReceivedMessage, home: DeliveryHome, gone: (delivery: ServiceBusDelivery) => void) {
    this.message = message;
    this.#home = home;
    this.#gone = gone;
  }

  get body(): Uint8Array {
    this.#body ??= bodyOf(this.message);
    return this.#body;
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

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether a verb was called. */
  get isDecided(): boolean {
    return this.#state !== "open";
  }

  survived(): void {
    if (this.suspicion === "careful") this.#home.survived?.(this);
  }

  /** The broker is told after the return: until it has answered the lock is held, so that a failure of the moment brings no second delivery. */
  complete(): "settled" | "lost" {
    this.#begin("complete");
    this.#state = "settled";
    if (this.#isLost) return "lost";
    if (!this.#home.completeByLink?.(this)) this.completeByClient();
    return "settled";
  }

  /** Also where the link could not, or was not answered. */
  completeByClient(): void {
    void this.#tell({ as: "complete" }).catch(() => this.lose());
  }

  /** The broker has taken its completion. */
  completed(): void {
    this.#leave();
  }

  async retry(delayMs: number, failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#answer("retry", async () => {
      await this.#home.storeRetry(this.message, delayMs, failure);
      return this.#tell({ as: "complete" });
    });
  }

  async deadLetter(failure: FailureHeaders): Promise<"settled" | "lost"> {
    return this.#answer("deadLetter", () => this.#tell({ as: "dead-letter", failure }));
  }

  async release(): Promise<"settled" | "lost"> {
    return this.#answer("release", () => this.#tell({ as: "release" }));
  }

  /** Its lock is gone: somebody else has the message, or will have. */
  lose(): void {
    if (this.#isGone) return;
    this.#isLost = true;
    this.#leave();
    this.#loss?.abort();
  }

  /** On failure the delivery is still held and open. */
  async #answer(verb: string, answer: () => Promise<"settled" | "lost">): Promise<"settled" | "lost"> {
    this.#begin(verb);
    if (!this.#isLost) {
      try {
        const result = await answer();
        this.#state = "settled";
        return result;
      } catch (error) {
        if (!this.#isLost) {
          this.#state = "open";
          throw error;
        }
      }
    }
    this.#state = "settled";
    return "lost";
  }

  async #tell(verdict: Verdict): Promise<"settled" | "lost"> {
    const result = await this.#home.settle(this, verdict);
    if (result === "lost") this.lose();
    else this.#leave();
    return result;
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#gone(this);
  }

  #begin(verb: string): void {
    if (this.#state !== "open") {
      throw new Error(
        `${verb}() was called on a delivery of "${this.source}" that is settled already: exactly one verb may be called, once.`,
      );
    }
    this.#state = "busy";
  }
}
