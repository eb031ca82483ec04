import { AmqpError } from "./amqp-error.js";
import { ACCEPTED_STATE, rejectedState } from "./delivery-state.js";
import { keptCopy } from "./kept-bytes.js";
import { Link, type LinkSession } from "./link.js";
import type { Attach, Flow, Transfer } from "./performatives.js";
import { addressOf } from "./termini.js";

/** Deliveries that a peer may have on the way and unanswered. */
const CREDIT = 1_000;

/** A delivery that a peer sent, complete. Answer it once, by `accept` or `reject` of the link. */
export interface IncomingDelivery {
  readonly id: number;
  readonly messageFormat: number;
  /** The sender wants no answer. */
  readonly settled: boolean;
  /** May be a view of the network's buffer: whoever keeps a part of it for long copies that. */
  readonly payload: Buffer;
}

export interface IncomingLinkHandler {
  onDelivery(delivery: IncomingDelivery): void;
  onGone(): void;
}

interface Partial {
  readonly id: number;
  readonly messageFormat: number;
  settled: boolean;
  readonly chunks: Buffer[];
  bytes: number;
}

/** The receiving end of a link that the peer sends on. */
export class IncomingLink extends Link {
  readonly address: string | undefined;
  #handler: IncomingLinkHandler | undefined;
  #maxMessageSize = Number.POSITIVE_INFINITY;
  #deliveryCount: number;
  #credit = 0;
  #unanswered = 0;
  #partial: Partial | undefined;

  constructor(session: LinkSession, attach: Attach) {
    super(session, attach);
    this.address = addressOf(attach.target);
    this.#deliveryCount = attach.initialDeliveryCount ?? 0;
  }

  /** @param maxMessageSize bytes; a longer delivery is refused with "amqp:link:message-size-exceeded", and the link stays */
  use(handler: IncomingLinkHandler, maxMessageSize: number): void {
    this.#handler = handler;
    this.#maxMessageSize = maxMessageSize;
  }

  accepted(delivery: IncomingDelivery): void {
    this.#answered();
    if (!delivery.settled && this.isAttached) this.session.sendDisposition(delivery.id, ACCEPTED_STATE, true);
  }

  rejected(delivery: IncomingDelivery, error: AmqpError): void {
    this.#answered();
    if (!delivery.settled && this.isAttached) this.session.sendDisposition(delivery.id, rejectedState(error), true);
  }

  /** @param view bytes that are only lent */
  receiveTransfer(transfer: Transfer, view: Buffer): void {
    if (!this.isAttached) return;
    const partial = this.#partial ?? this.#begin(transfer);
    if (!partial) return;
    if (transfer.aborted) {
      this.#partial = undefined;
      this.#answered();
      return;
    }
    partial.settled ||= transfer.settled ?? false;
    partial.bytes += view.length;
    // What is beyond the limit is counted, for the text of the refusal, but not kept. What waits for more must not keep much of the network's buffer besides.
    if (partial.bytes <= this.#maxMessageSize) partial.chunks.push(transfer.more && isSmallPart(view) ? keptCopy(view) : view);
    this.#partial = transfer.more ? partial : undefined;
    if (!transfer.more) this.#complete(partial);
  }

  receiveFlow(flow: Flow): void {
    // A sender that drops credit (or was drained) moves its delivery count on.
    if (flow.deliveryCount !== undefined && !this.#partial) {
      const skipped = (flow.deliveryCount - this.#deliveryCount) | 0;
      if (skipped > 0) {
        this.#deliveryCount = flow.deliveryCount;
        this.#credit = Math.max(0, this.#credit - skipped);
      }
    }
    if (flow.echo) this.#sendFlow();
    else this.#topUp();
  }

  protected onAccepted(): void {
    this.#topUp();
  }

  protected onGone(): void {
    this.#partial = undefined;
    this.#handler?.onGone();
  }

  #begin(transfer: Transfer): Partial | undefined {
    if (transfer.deliveryId === undefined)
      throw new AmqpError("amqp:invalid-field", "The first transfer of a delivery needs a delivery id.");
    if (this.#credit === 0) {
      this.detach(new AmqpError("amqp:link:transfer-limit-exceeded", "A delivery came that the link had no credit for."));
      return undefined;
    }
    this.#credit--;
    this.#unanswered++;
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
    return {
      id: transfer.deliveryId,
      messageFormat: transfer.messageFormat ?? 0,
      settled: transfer.settled ?? false,
      chunks: [],
      bytes: 0,
    };
  }

  #complete({ id, messageFormat, settled, chunks, bytes }: Partial): void {
    const [only] = chunks;
    const payload = chunks.length === 1 && only ? only : Buffer.concat(chunks);
    const delivery = { id, messageFormat, settled, payload };
    if (bytes > this.#maxMessageSize) {
      // The wording is the service's own, as its users report it.
      const text = `The received message (delivery-id:${id}, size:${bytes} bytes) exceeds the limit (${this.#maxMessageSize} bytes) currently allowed on the link.`;
      this.rejected(delivery, new AmqpError("amqp:link:message-size-exceeded", text));
    } else this.#handler?.onDelivery(delivery);
  }

  #answered(): void {
    this.#unanswered--;
    this.#topUp();
  }

  #topUp(): void {
    if (this.isAttached && this.#credit + this.#unanswered <= CREDIT / 2) this.#sendFlow();
  }

  #sendFlow(): void {
    this.#credit = CREDIT - this.#unanswered;
    this.session.sendFlow({ handle: this.handle, deliveryCount: this.#deliveryCount, linkCredit: this.#credit });
  }
}

/** Whether most of the memory that it keeps is not its own. */
function isSmallPart(view: Buffer): boolean {
  return 2 * view.length < view.buffer.byteLength;
}
