import type { Socket } from "node:net";
import { AmqpError } from "./amqp-error.js";
import { errorValue } from "./delivery-state.js";
import { AMQP_HEADER, encodeFrame, FrameReader, MIN_MAX_FRAME_SIZE, SASL_HEADER } from "./frames.js";
import type { IncomingLink } from "./incoming-link.js";
import type { OutgoingLink } from "./outgoing-link.js";
import type { Open, Performative, SaslInit } from "./performatives.js";
import { Session, type SessionConnection } from "./session.js";
import { array, symbol } from "./values.js";

/** Deliveries stop while more than this waits for the socket to drain, and go on below half of it. */
const DELIVERY_LIMIT = 1_048_576;
/** A peer that leaves more than this unread, which only answers to its own requests can reach, is cut off. */
const OUTPUT_LIMIT = 33_554_432;
const CHANNEL_MAX = 65_535;

/** What becomes of the links of one connection. */
export interface ConnectionHandler {
  /** Whether the peer may come in. `response` is what came with its choice of a mechanism. */
  authenticate(mechanism: string, response: Buffer | undefined): boolean;
  /** Decide on a link: `use` and `accept` it, or `refuse` it, now or later. An AmqpError thrown refuses it. */
  onAttach(link: IncomingLink | OutgoingLink): void;
  onClosed(): void;
}

export interface ConnectionOptions {
  readonly containerId: string;
  readonly maxFrameSize: number;
  /** Milliseconds after which a peer must have shown a sign of life; it is told half of it. */
  readonly idleTimeOut: number;
  /** Milliseconds that a peer has to come as far as an open connection, or to answer a close. */
  readonly handshakeTimeOut: number;
  readonly saslMechanisms: readonly string[];
}

type State = "header" | "sasl" | "opening" | "open" | "closing" | "closed";

/** One connection of a peer (AMQP 1.0 part 2, 2.4). Whatever the peer sends, nothing is thrown: at worst the connection ends. */
export class Connection implements SessionConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #handler: ConnectionHandler;
  readonly #reader: FrameReader;
  readonly #sessions = new Map<number, Session>();
  readonly #toFlush = new Set<Session>();
  #state: State = "header";
  #authenticated = false;
  #peer: Open | undefined;
  #output: Buffer[] = [];
  #outputBytes = 0;
  #flushScheduled = false;
  #stopped = false;
  #stateSince = Date.now();
  #lastReceived = Date.now();
  #lastSent = Date.now();

  constructor(socket: Socket, options: ConnectionOptions, handler: (connection: Connection) => ConnectionHandler) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new FrameReader(options.maxFrameSize);
    this.#handler = handler(this);
    // Every answer of a management request would wait 40 ms for the next one otherwise.
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.destroy());
    // What went wrong does not matter: "close" follows.
    socket.on("error", () => {});
    socket.on("close", () => this.#onClosed());
  }

  get canDeliver(): boolean {
    return !this.#stopped && this.#state === "open";
  }

  get peerMaxFrameSize(): number {
    return Math.min(this.#options.maxFrameSize, Math.max(MIN_MAX_FRAME_SIZE, this.#peer?.maxFrameSize ?? this.#options.maxFrameSize));
  }

  get links(): (IncomingLink | OutgoingLink)[] {
    return [...this.#sessions.values()].flatMap((session) => [...session.links]);
  }

  write(frame: Buffer): void {
    if (this.#state === "closed") return;
    this.#output.push(frame);
    this.#outputBytes += frame.length;
    if (this.#outputBytes + this.#socket.writableLength > DELIVERY_LIMIT) this.#stopped = true;
    this.#scheduleFlush();
  }

  beforeFlush(session: Session): void {
    this.#toFlush.add(session);
    this.#scheduleFlush();
  }

  onAttach(link: IncomingLink | OutgoingLink): void {
    try {
      this.#handler.onAttach(link);
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      link.refuse(error);
    }
  }

  forget(session: Session): void {
    this.#sessions.delete(session.channel);
  }

  /** Ends the connection in order; the peer is told why. */
  close(error?: AmqpError): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    const opened = this.#state === "open";
    this.#loseSessions();
    if (opened) this.write(encodeFrame(0, { kind: "close", error: error && errorValue(error) }));
    this.#enter("closing");
    this.#flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Called about every second: signs of life, and the end of those that show none. */
  tick(now: number): void {
    const { idleTimeOut, handshakeTimeOut } = this.#options;
    if (this.#state !== "open" && now - this.#stateSince > handshakeTimeOut) this.destroy();
    else if (this.#state === "open" && now - this.#lastReceived > idleTimeOut) {
      this.close(new AmqpError("amqp:resource-limit-exceeded", `No frame came for ${idleTimeOut} ms.`));
    } else if (this.#state === "open" && this.#peer?.idleTimeOut && now - this.#lastSent > this.#peer.idleTimeOut / 3) {
      this.write(encodeFrame(0, undefined));
    }
  }

  #onData(chunk: Buffer): void {
    this.#lastReceived = Date.now();
    this.#reader.push(chunk);
    try {
      while (this.#step());
    } catch (error) {
      this.#fail(error);
    }
    // Before more is read from the socket: a peer that waits for the answer to one batch before it writes another would stand idle while its next is dealt with.
    if (this.#flushScheduled) this.#flush();
  }

  /** Deals with the next header or frame; false when it is not complete yet. */
  #step(): boolean {
    if (this.#state === "closed") return false;
    if (this.#state === "header") {
      const header = this.#reader.nextHeader();
      if (header) this.#onHeader(header);
      return header !== undefined;
    }
    const frame = this.#reader.nextFrame();
    if (frame?.performative) this.#onFrame(frame.channel, frame.performative, frame.payload);
    return frame !== undefined;
  }

  #onHeader(header: Buffer): void {
    if (header.equals(SASL_HEADER) && !this.#authenticated) {
      this.#enter("sasl");
      this.write(SASL_HEADER);
      const mechanisms = array("symbol", this.#options.saslMechanisms.map(symbol));
      this.write(encodeFrame(0, { kind: "sasl-mechanisms", mechanisms }));
    } else if (header.equals(AMQP_HEADER)) {
      this.#enter("opening");
      this.write(AMQP_HEADER);
    } else {
      // A peer of another protocol or version is told what is spoken here (AMQP 1.0 part 2, 2.2).
      this.write(this.#authenticated ? AMQP_HEADER : SASL_HEADER);
      this.close();
    }
  }

  #onFrame(channel: number, performative: Performative, payload: Buffer): void {
    if (this.#state === "closing") {
      if (performative.kind === "close") this.destroy();
    } else if (this.#state === "sasl") {
      if (performative.kind !== "sasl-init")
        throw new AmqpError("amqp:illegal-state", `"${performative.kind}" came instead of "sasl-init".`);
      this.#onSaslInit(performative);
    } else if (this.#state === "opening") {
      if (performative.kind !== "open") throw new AmqpError("amqp:illegal-state", `"${performative.kind}" came before "open".`);
      this.#onOpen(performative);
    } else if (performative.kind === "close") {
      this.close();
    } else this.#onSessionFrame(channel, performative, payload);
  }

  #onSaslInit(init: SaslInit): void {
    const mechanism = init.mechanism ?? "";
    this.#authenticated = this.#options.saslMechanisms.includes(mechanism) && this.#handler.authenticate(mechanism, init.initialResponse);
    // 0 is "ok" and 1 "auth" (AMQP 1.0 part 5, 5.3.3.6).
    this.write(encodeFrame(0, { kind: "sasl-outcome", code: { type: "ubyte", value: this.#authenticated ? 0 : 1 } }));
    if (this.#authenticated) this.#enter("header");
    else this.close();
  }

  #onOpen(open: Open): void {
    this.#peer = open;
    this.#enter("open");
    const { containerId, maxFrameSize, idleTimeOut } = this.#options;
    this.write(
      encodeFrame(0, { kind: "open", containerId, maxFrameSize, channelMax: CHANNEL_MAX, idleTimeOut: Math.floor(idleTimeOut / 2) }),
    );
  }

  #onSessionFrame(channel: number, performative: Performative, payload: Buffer): void {
    const session = this.#sessions.get(channel);
    if (performative.kind === "begin") {
      if (session) throw new AmqpError("amqp:illegal-state", `The channel ${channel} has a session already.`);
      this.#sessions.set(channel, new Session(this, channel, performative));
    } else if (session) session.receive(performative, payload);
    else throw new AmqpError("amqp:illegal-state", `"${performative.kind}" came on the channel ${channel}, which has no session.`);
  }

  #fail(error: unknown): void {
    // Whoever goes on sending garbage after the end was announced does not wait for it.
    if (this.#state === "closing") this.destroy();
    const text = error instanceof Error ? error.message : String(error);
    this.close(error instanceof AmqpError ? error : new AmqpError("amqp:internal-error", text));
  }

  #enter(state: State): void {
    this.#state = state;
    this.#stateSince = Date.now();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushScheduled = false;
    for (const session of this.#toFlush) session.flush();
    this.#toFlush.clear();
    this.#flushScheduled = false;
    if (this.#output.length === 0) return;
    const [only] = this.#output;
    const bytes = this.#output.length === 1 && only ? only : Buffer.concat(this.#output, this.#outputBytes);
    this.#output = [];
    this.#outputBytes = 0;
    this.#lastSent = Date.now();
    this.#socket.write(bytes);
    if (this.#socket.writableLength > OUTPUT_LIMIT) this.destroy();
    else this.#onDrain();
  }

  #onDrain(): void {
    if (!this.#stopped || this.#outputBytes + this.#socket.writableLength > DELIVERY_LIMIT / 2) return;
    this.#stopped = false;
    for (const session of [...this.#sessions.values()]) {
      if (this.#stopped) return;
      session.resume();
    }
  }

  #onClosed(): void {
    if (this.#state === "closed") return;
    this.#loseSessions();
    this.#state = "closed";
    this.#output = [];
    this.#handler.onClosed();
  }

  #loseSessions(): void {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) {
      session.flush();
      session.lose();
    }
  }
}
