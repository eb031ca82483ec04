import { AmqpError } from "./amqp-error.js";
import { errorValue } from "./delivery-state.js";
import type { Attach, Detach, Flow, Performative } from "./performatives.js";
import { sourceOrEmpty, targetOrEmpty } from "./termini.js";
import type { AmqpMap, AmqpValue } from "./values.js";

/** What a link uses of the session that it belongs to. */
export interface LinkSession {
  /** False while the peer takes no more deliveries: its window is closed, or its socket does not drain. */
  readonly canDeliver: boolean;
  send(performative: Performative): void;
  /** Sends a flow of the link with the state of the session filled in. */
  sendFlow(flow: LinkFlow): void;
  /** Sends a delivery in as many transfers as it takes; returns its id. */
  sendDelivery(link: Link, tag: Buffer, settled: boolean, payload: Buffer): number;
  /** Tells the peer how deliveries that it sent ended. */
  sendDisposition(deliveryId: number, state: AmqpValue, role: boolean): void;
  /** The link is gone: nothing of it is kept. */
  forget(link: Link): void;
}

export type LinkFlow = Pick<Flow, "handle" | "deliveryCount" | "linkCredit" | "drain" | "available">;

/** What the answer to an attach says beyond what it repeats of the question. */
export interface Acceptance {
  readonly source?: AmqpValue | undefined;
  readonly properties?: AmqpMap | undefined;
  readonly maxMessageSize?: number | undefined;
}

/** One end of a link; the peer attached it (AMQP 1.0 part 2, 2.6). */
export abstract class Link {
  readonly attach: Attach;
  readonly name: string;
  /** The peer's handle, and the same number is ours. */
  readonly handle: number;
  protected readonly session: LinkSession;
  #state: "attaching" | "attached" | "detaching" | "detached" = "attaching";

  constructor(session: LinkSession, attach: Attach) {
    if (attach.name === undefined || attach.handle === undefined)
      throw new AmqpError("amqp:invalid-field", "An attach needs a name and a handle.");
    this.session = session;
    this.attach = attach;
    this.name = attach.name;
    this.handle = attach.handle;
  }

  /** The address of what the peer sends to or receives from; undefined when it gave none. */
  abstract readonly address: string | undefined;

  get isAttached(): boolean {
    return this.#state === "attached";
  }

  get isAttaching(): boolean {
    return this.#state === "attaching";
  }

  /** Answers the attach. Settle modes and termini are repeated, as Go's client demands, and there are always both, as Python's does. Nothing when the peer has gone meanwhile. */
  accept(acceptance: Acceptance): void {
    if (this.#state !== "attaching") return;
    this.#state = "attached";
    this.session.send({
      kind: "attach",
      name: this.name,
      handle: this.handle,
      role: !this.attach.role,
      sndSettleMode: this.attach.sndSettleMode,
      rcvSettleMode: this.attach.rcvSettleMode,
      source: acceptance.source ?? sourceOrEmpty(this.attach.source),
      target: targetOrEmpty(this.attach.target),
      initialDeliveryCount: this.attach.role ? 0 : undefined,
      maxMessageSize: acceptance.maxMessageSize,
      properties: acceptance.properties,
    });
    this.onAccepted();
  }

  /** Answers the attach with no source and no target and ends the link with the reason (AMQP 1.0 part 2, 2.6.3). */
  refuse(error: AmqpError): void {
    if (this.#state !== "attaching") return;
    this.#answerWithoutTermini();
    this.detach(error);
  }

  /** Ends the link; the peer is told why. */
  detach(error: AmqpError): void {
    if (this.#state === "attaching") this.refuse(error);
    if (this.#state !== "attached") return;
    this.#state = "detaching";
    this.session.send({ kind: "detach", handle: this.handle, closed: true, error: errorValue(error) });
    this.onGone();
  }

  /** The peer detached: what it hears depends on whether it answers us or began. */
  receiveDetach(detach: Detach): void {
    const answered = this.#state === "detaching";
    const wasThere = this.#state === "attaching" || this.#state === "attached";
    if (this.#state === "attaching") this.#answerWithoutTermini();
    this.#state = "detached";
    if (!answered) this.session.send({ kind: "detach", handle: this.handle, closed: detach.closed ?? false });
    this.session.forget(this);
    if (wasThere) this.onGone();
  }

  /** The session or the connection has gone, and the link with it. */
  lose(): void {
    const wasThere = this.#state === "attaching" || this.#state === "attached";
    this.#state = "detached";
    if (wasThere) this.onGone();
  }

  abstract receiveFlow(flow: Flow): void;

  #answerWithoutTermini(): void {
    this.#state = "attached";
    this.session.send({
      kind: "attach",
      name: this.name,
      handle: this.handle,
      role: !this.attach.role,
      sndSettleMode: this.attach.sndSettleMode,
      rcvSettleMode: this.attach.rcvSettleMode,
      initialDeliveryCount: this.attach.role ? 0 : undefined,
    });
  }

  /** The link may be used from now on. */
  protected abstract onAccepted(): void;

  /** Called once, however the link ended. */
  protected abstract onGone(): void;
}
