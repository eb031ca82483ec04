import { randomBytes } from "node:crypto";
import { AmqpError } from "../amqp/amqp-error.js";
import { ACCEPTED_STATE } from "../amqp/delivery-state.js";
import type { OutgoingLink, OutgoingLinkHandler, Settlement } from "../amqp/outgoing-link.js";
import { addressOf } from "../amqp/termini.js";

/** Answers that wait for the credit of a client; one that asks without ever reading loses the link. */
const MAX_WAITING = 10_000;
/** "Unsettled": the client wants to settle every delivery itself. */
const CLIENT_SETTLES = 0;

/** The link on which a client gets the answers to its requests. */
export class ReplyLink implements OutgoingLinkHandler {
  readonly #link: OutgoingLink;
  readonly #onGone: () => void;
  #waiting: Buffer[] = [];

  constructor(link: OutgoingLink, onGone: () => void) {
    this.#link = link;
    this.#onGone = onGone;
    link.use(this);
    link.accept({});
  }

  /** What the client names in `reply-to`; undefined when it named nothing. */
  get replyTo(): string | undefined {
    return addressOf(this.#link.attach.target);
  }

  send(answer: Buffer): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#link.detach(new AmqpError("amqp:resource-limit-exceeded", `${MAX_WAITING} answers wait for credit.`));
      return;
    }
    this.#waiting.push(answer);
    this.onCredit();
  }

  onCredit(): void {
    while (this.#link.deliverable > 0) {
      const answer = this.#waiting.shift();
      if (!answer) return;
      this.#link.deliver(randomBytes(16), this.#link.attach.sndSettleMode !== CLIENT_SETTLES, answer);
    }
  }

  onDrain(): void {
    this.onCredit();
  }

  onSettlement(settlement: Settlement): void {
    if (!settlement.settled) this.#link.settle(settlement.deliveryId, ACCEPTED_STATE);
  }

  onGone(): void {
    this.#waiting = [];
    this.#onGone();
  }
}
