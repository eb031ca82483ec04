import { AmqpError } from "./amqp-error.js";
import { ACCEPTED_STATE, errorValue, readDeliveryState } from "./delivery-state.js";
import { encodeFrame } from "./frames.js";
import { IncomingLink } from "./incoming-link.js";
import type { Link, LinkFlow, LinkSession } from "./link.js";
import { OutgoingLink } from "./outgoing-link.js";
import type { Attach, Begin, Detach, Disposition, Flow, Performative, Transfer } from "./performatives.js";
import type { AmqpValue } from "./values.js";

const INCOMING_WINDOW = 5_000;
const HANDLE_MAX = 1_023;
/** The head of a transfer frame, its performative included, is shorter than this. */
const TRANSFER_OVERHEAD = 128;

/** What a session uses of the connection that it belongs to. */
export interface SessionConnection {
  /** False while the socket does not drain. */
  readonly canDeliver: boolean;
  readonly peerMaxFrameSize: number;
  write(frame: Buffer): void;
  /** Answers of sends are gathered per turn; `flush` is called before the turn's bytes go out. */
  beforeFlush(session: Session): void;
  onAttach(link: IncomingLink | OutgoingLink): void;
  forget(session: Session): void;
}

interface Unsettled {
  readonly link: OutgoingLink;
  readonly tag: Buffer;
}

/** A session that the peer began (AMQP 1.0 part 2, 2.5). Our channel has the number of the peer's. */
export class Session implements LinkSession {
  readonly channel: number;
  readonly #connection: SessionConnection;
  readonly #links = new Map<number, IncomingLink | OutgoingLink>();
  readonly #unsettled = new Map<number, Unsettled>();
  /** Transfers that wait for the peer's window to open; in their order. */
  #waiting: Buffer[] = [];
  #nextIncomingId: number;
  #incomingWindow = INCOMING_WINDOW;
  #nextOutgoingId = 0;
  #nextDeliveryId = 0;
  #remoteWindow: number;
  #acceptedRange: { first: number; last: number; role: boolean } | undefined;
  #ended = false;

  constructor(connection: SessionConnection, channel: number, begin: Begin) {
    this.#connection = connection;
    this.channel = channel;
    this.#nextIncomingId = begin.nextOutgoingId ?? 0;
    this.#remoteWindow = begin.incomingWindow ?? 0;
    this.send({
      kind: "begin",
      remoteChannel: channel,
      nextOutgoingId: 0,
      incomingWindow: INCOMING_WINDOW,
      outgoingWindow: INCOMING_WINDOW,
      handleMax: Math.min(HANDLE_MAX, begin.handleMax ?? HANDLE_MAX),
    });
  }

  get canDeliver(): boolean {
    return this.#waiting.length === 0 && this.#remoteWindow > 0 && this.#connection.canDeliver;
  }

  get links(): Iterable<IncomingLink | OutgoingLink> {
    return this.#links.values();
  }

  /** @throws AmqpError for what ends the connection; errors that end the session or a link are dealt with here */
  receive(performative: Performative, payload: Buffer): void {
    if (this.#ended) {
      // The peer has not heard of the end yet.
      if (performative.kind === "end") this.#connection.forget(this);
      return;
    }
    try {
      this.#dispatch(performative, payload);
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      this.#fail(error);
    }
  }

  send(performative: Performative): void {
    this.#connection.write(encodeFrame(this.channel, performative));
  }

  sendFlow(flow: LinkFlow): void {
    this.#incomingWindow = INCOMING_WINDOW;
    this.send({
      kind: "flow",
      nextIncomingId: this.#nextIncomingId,
      incomingWindow: INCOMING_WINDOW,
      nextOutgoingId: this.#nextOutgoingId,
      outgoingWindow: INCOMING_WINDOW,
      ...flow,
    });
  }

  sendDelivery(link: OutgoingLink, tag: Buffer, settled: boolean, payload: Buffer): number {
    const id = this.#nextDeliveryId;
    this.#nextDeliveryId = (id + 1) >>> 0;
    if (!settled) this.#unsettled.set(id, { link, tag });
    const room = this.#connection.peerMaxFrameSize - TRANSFER_OVERHEAD;
    const first = { kind: "transfer", handle: link.handle, deliveryId: id, deliveryTag: tag, messageFormat: 0, settled } as const;
    if (payload.length <= room) {
      this.#transfer({ ...first, more: false }, payload);
      return id;
    }
    for (let start = 0; start < payload.length; start += room) {
      const more = start + room < payload.length;
      const head: Transfer = start === 0 ? { ...first, more } : { kind: "transfer", handle: link.handle, more };
      this.#transfer(head, payload.subarray(start, start + room));
    }
    return id;
  }

  sendDisposition(deliveryId: number, state: AmqpValue, role: boolean): void {
    if (!role) this.#unsettled.delete(deliveryId);
    if (state !== ACCEPTED_STATE) {
      this.send({ kind: "disposition", role, first: deliveryId, last: deliveryId, settled: true, state });
      return;
    }
    // Most answers say "accepted" of one delivery after the other: one frame says it of all of them.
    const range = this.#acceptedRange;
    if (range && range.role === role && (range.last + 1) >>> 0 === deliveryId) range.last = deliveryId;
    else {
      this.flush();
      this.#acceptedRange = { first: deliveryId, last: deliveryId, role };
      this.#connection.beforeFlush(this);
    }
  }

  /** Writes the answers that were gathered. */
  flush(): void {
    const range = this.#acceptedRange;
    if (!range) return;
    this.#acceptedRange = undefined;
    if (this.#ended) return;
    this.send({ kind: "disposition", role: range.role, first: range.first, last: range.last, settled: true, state: ACCEPTED_STATE });
  }

  forget(link: Link): void {
    if (this.#links.get(link.handle) === link) this.#links.delete(link.handle);
    for (const [id, unsettled] of this.#unsettled) if (unsettled.link === link) this.#unsettled.delete(id);
  }

  /** The connection takes deliveries again. */
  resume(): void {
    for (const link of this.#links.values()) {
      if (!this.canDeliver) return;
      if (link instanceof OutgoingLink) link.resume();
    }
  }

  /** The connection has gone, or the session: so have its links. */
  lose(): void {
    this.#ended = true;
    this.#waiting = [];
    this.#unsettled.clear();
    const links = [...this.#links.values()];
    this.#links.clear();
    for (const link of links) link.lose();
  }

  #dispatch(performative: Performative, payload: Buffer): void {
    switch (performative.kind) {
      case "attach":
        this.#attach(performative);
        break;
      case "flow":
        this.#flow(performative);
        break;
      case "transfer":
        this.#incoming(performative, payload);
        break;
      case "disposition":
        this.#disposition(performative);
        break;
      case "detach":
        this.#detach(performative);
        break;
      case "end":
        this.lose();
        this.send({ kind: "end" });
        this.#connection.forget(this);
        break;
      default:
        throw new AmqpError("amqp:illegal-state", `A session takes no "${performative.kind}".`);
    }
  }

  #attach(attach: Attach): void {
    const handle = attach.handle ?? 0;
    if (handle > HANDLE_MAX)
      throw new AmqpError("amqp:connection:framing-error", `The handle ${handle} is above the maximum of ${HANDLE_MAX}.`);
    if (this.#links.has(handle)) throw new AmqpError("amqp:session:handle-in-use", `The handle ${handle} is in use.`);
    const link = attach.role ? new OutgoingLink(this, attach) : new IncomingLink(this, attach);
    this.#links.set(handle, link);
    this.#connection.onAttach(link);
  }

  #detach(detach: Detach): void {
    this.#link(detach.handle).receiveDetach(detach);
  }

  #flow(flow: Flow): void {
    const stopped = !this.canDeliver;
    const onTheWay = (this.#nextOutgoingId - (flow.nextIncomingId ?? 0)) >>> 0;
    this.#remoteWindow = Math.max(0, (flow.incomingWindow ?? 0) - onTheWay);
    this.#sendWaiting();
    if (flow.handle !== undefined) this.#link(flow.handle).receiveFlow(flow);
    else if (flow.echo) this.sendFlow({});
    if (stopped) this.resume();
  }

  #incoming(transfer: Transfer, payload: Buffer): void {
    if (this.#incomingWindow === 0) throw new AmqpError("amqp:session:window-violation", "A transfer came while the window was closed.");
    this.#nextIncomingId = (this.#nextIncomingId + 1) >>> 0;
    this.#incomingWindow--;
    const link = this.#link(transfer.handle);
    if (!(link instanceof IncomingLink)) throw new AmqpError("amqp:session:errant-link", "A transfer came on a link that receives.");
    link.receiveTransfer(transfer, payload);
    if (!this.#ended && this.#incomingWindow <= INCOMING_WINDOW / 2) this.sendFlow({});
  }

  #disposition(disposition: Disposition): void {
    // A sender tells that it settles what was answered settled before: nothing is left to do.
    if (!disposition.role) return;
    const first = disposition.first ?? 0;
    const last = disposition.last ?? first;
    const span = ((last - first) >>> 0) + 1;
    if (span > this.#unsettled.size) {
      // A range may be any length that 32 bits hold: what is known is looked through instead.
      for (const id of [...this.#unsettled.keys()]) if ((id - first) >>> 0 < span) this.#settlement(id, disposition);
      return;
    }
    for (let i = 0; i < span; i++) this.#settlement((first + i) >>> 0, disposition);
  }

  #settlement(deliveryId: number, disposition: Disposition): void {
    const unsettled = this.#unsettled.get(deliveryId);
    if (!unsettled) return;
    const settled = disposition.settled ?? false;
    const raw = disposition.state ?? (settled ? ACCEPTED_STATE : undefined);
    if (raw === undefined) return;
    const state = readDeliveryState(raw);
    if (state.kind === "received") return;
    this.#unsettled.delete(deliveryId);
    unsettled.link.receiveSettlement({
      deliveryId,
      tag: unsettled.tag,
      state,
      settled,
      raw: state.kind === "accepted" ? ACCEPTED_STATE : raw,
    });
  }

  #transfer(transfer: Transfer, payload: Buffer): void {
    const frame = encodeFrame(this.channel, transfer, payload);
    if (this.#remoteWindow === 0 || this.#waiting.length > 0) this.#waiting.push(frame);
    else this.#writeTransfer(frame);
  }

  #sendWaiting(): void {
    let sent = 0;
    for (const frame of this.#waiting) {
      if (this.#remoteWindow === 0) break;
      this.#writeTransfer(frame);
      sent++;
    }
    if (sent > 0) this.#waiting = this.#waiting.slice(sent);
  }

  #writeTransfer(frame: Buffer): void {
    this.#remoteWindow--;
    this.#nextOutgoingId = (this.#nextOutgoingId + 1) >>> 0;
    this.#connection.write(frame);
  }

  #link(handle: number | undefined): IncomingLink | OutgoingLink {
    const link = handle === undefined ? undefined : this.#links.get(handle);
    if (!link) throw new AmqpError("amqp:session:unattached-handle", `No link has the handle ${handle}.`);
    return link;
  }

  #fail(error: AmqpError): void {
    this.flush();
    this.lose();
    this.send({ kind: "end", error: errorValue(error) });
  }
}
