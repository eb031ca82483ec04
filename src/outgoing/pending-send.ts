import type { OutgoingMessage, TransportError } from "../contracts/transport.js";
import { PublishError } from "../errors.js";
import type { Linked } from "../util/linked-set.js";
import type { PendingBudget } from "./pending-budget.js";
import type { PublishWindow } from "./publish-window.js";

/** One message on its way to the broker, and whoever waits for it. */
export class PendingSend implements Linked {
  /** Its place in the window. */
  link: Linked["link"] = undefined;
  readonly message: OutgoingMessage;
  readonly window: PublishWindow<PendingSend>;
  /** Set while the transport has it: from then on only the transport can say that it was certainly not stored. */
  handedOver = false;
  /** A try before this one may have stored it: "refused" would be a lie from then on. */
  perhapsStored = false;
  settled = false;
  /** The latest trouble, told when the time is up. */
  error: TransportError | undefined;
  /** Where its place is given back when it is settled; `undefined` when its owner does that. */
  budget: PendingBudget | undefined;
  /** Takes back what was hung up for it. */
  onSettled: (() => void) | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: PublishError) => void;

  constructor(message: OutgoingMessage, window: PublishWindow<PendingSend>, resolve: () => void, reject: (error: PublishError) => void) {
    this.message = message;
    this.window = window;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  resolve(): void {
    this.settled = true;
    this.#resolve();
  }

  /** Gives up on it, with the true outcome. */
  reject(why: string): void {
    this.settled = true;
    const { error } = this;
    const outcome = this.perhapsStored || this.handedOver ? "unknown" : "refused";
    const { messageId, messageType } = this.message.properties;
    const trouble = error && error.message !== why ? `${why}; the last trouble was: ${error.message}` : why;
    const told = outcome === "refused" ? "It was certainly not stored" : "It may have been stored";
    this.#reject(
      new PublishError(
        error?.code ?? "timeout",
        `${messageType} ${messageId} was not confirmed: ${trouble}. ${told}; to try again, publish it with this messageId.`,
        {
          cause: error,
          retryable: error?.retryable ?? true,
          outcome,
          messageId,
        },
      ),
    );
  }
}
