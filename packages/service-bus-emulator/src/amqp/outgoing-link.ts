import type { DeliveryState } from "./delivery-state.js";
import { Link, type LinkSession } from "./link.js";
import type { Attach, Flow } from "./performatives.js";
import { addressOf } from "./termini.js";
import type { AmqpValue } from "./values.js";

/** A delivery that the peer settles, or that was settled on the way. */
export interface Settlement {
  readonly deliveryId: number;
  readonly tag: Buffer;
  readonly state: DeliveryState;
  /** The peer waits for no answer. */
  readonly settled: boolean;
  /** The state as the peer wrote it, for the answer. */
  readonly raw: AmqpValue;
}

export interface OutgoingLinkHandler {
  /** What may be delivered changed: see {@link OutgoingLink.deliverable}. */
  onCredit(): void;
  /** Everything that is there has to be delivered now; when it returns, the credit that is left lapses. */
  onDrain(): void;
  onSettlement(settlement: Settlement): void;
  onGone(): void;
}

/** The sending end of a link that the peer receives on. */
export class OutgoingLink extends Link {
  readonly address: string | undefined;
  #handler: OutgoingLinkHandler | undefined;
  #deliveryCount = 0;
  #credit = 0;
  #draining = false;

  constructor(session: LinkSession, attach: Attach) {
    super(session, attach);
    this.address = addressOf(attach.source);
  }

  use(handler: OutgoingLinkHandler): void {
    this.#handler = handler;
  }

  /** Deliveries that may be sent now: the peer's credit, or none while its window is closed or its socket does not drain. */
  get deliverable(): number {
    return this.isAttached && this.session.canDeliver ? this.#credit : 0;
  }

  /** Sends a delivery and takes one credit; returns its id. */
  deliver(tag: Buffer, settled: boolean, payload: Buffer): number {
    this.#credit--;
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0;
    return this.session.sendDelivery(this, tag, settled, payload);
  }

  /** Answers a settlement of the peer. */
  settle(deliveryId: number, state: AmqpValue): void {
    if (this.isAttached) this.session.sendDisposition(deliveryId, state, false);
  }

  receiveFlow(flow: Flow): void {
    if (flow.linkCredit !== undefined) {
      // The receiver's view of the delivery count may be behind ours by what is on the way (AMQP 1.0 part 2, 2.6.7).
      const limit = ((flow.deliveryCount ?? 0) + flow.linkCredit) >>> 0;
      this.#credit = Math.max(0, (limit - this.#deliveryCount) | 0);
    }
    this.#draining = flow.drain ?? false;
    if (!this.isAttached) return;
    if (this.#draining) this.#drain();
    else {
      this.#handler?.onCredit();
      if (flow.echo) this.#sendFlow();
    }
  }

  receiveSettlement(settlement: Settlement): void {
    this.#handler?.onSettlement(settlement);
  }

  /** The session takes deliveries again. */
  resume(): void {
    if (!this.isAttached) return;
    if (this.#draining) this.#drain();
    else this.#handler?.onCredit();
  }

  protected onAccepted(): void {
    this.resume();
  }

  protected onGone(): void {
    this.#credit = 0;
    this.#handler?.onGone();
  }

  #drain(): void {
    // What could not be sent for want of room is sent when there is some: until then the drain is not over.
    if (this.#credit > 0 && !this.session.canDeliver) return;
    this.#handler?.onDrain();
    if (!this.isAttached || (this.#credit > 0 && !this.session.canDeliver)) return;
    this.#deliveryCount = (this.#deliveryCount + this.#credit) >>> 0;
    this.#credit = 0;
    this.#draining = false;
    this.#sendFlow(true);
  }

  #sendFlow(drain = false): void {
    this.session.sendFlow({ handle: this.handle, deliveryCount: this.#deliveryCount, linkCredit: this.#credit, drain });
  }
}
