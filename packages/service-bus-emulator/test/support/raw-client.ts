import { connect, type Socket } from "node:net";
import { AMQP_HEADER, encodeFrame, type Frame, FrameReader, SASL_HEADER } from "../../src/amqp/frames.js";
import type { Attach, Flow, Performative } from "../../src/amqp/performatives.js";
import { type AmqpValue, described, ulong } from "../../src/amqp/values.js";

/** A frame that came, with its performative read. */
export interface Received<K extends Performative["kind"] = Performative["kind"]> {
  readonly channel: number;
  readonly performative: Extract<Performative, { kind: K }>;
  readonly payload: Buffer;
}

/** A client that says what a test wants it to say, byte for byte, and remembers what it was told. */
export class RawClient {
  readonly socket: Socket;
  readonly #reader = new FrameReader(1_048_576);
  readonly #frames: Frame[] = [];
  readonly #headers: Buffer[] = [];
  #headersToCome = 0;
  #closed = false;
  #changed: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#reader.push(chunk);
      this.#read();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#changed();
    });
  }

  /** A socket, and nothing said on it. */
  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, "127.0.0.1");
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawClient(socket);
  }

  /** A connection that is open, with one session on the channel 0. */
  static async open(
    port: number,
    options: { maxFrameSize?: number; idleTimeOut?: number; incomingWindow?: number } = {},
  ): Promise<RawClient> {
    const client = await RawClient.connect(port);
    await client.authenticate();
    client.send(0, { kind: "open", containerId: "raw", maxFrameSize: options.maxFrameSize ?? 65_536, idleTimeOut: options.idleTimeOut });
    await client.next("open");
    await client.begin(0, options.incomingWindow);
    return client;
  }

  async authenticate(): Promise<void> {
    this.write(SASL_HEADER);
    await this.header();
    await this.next("sasl-mechanisms");
    this.send(0, { kind: "sasl-init", mechanism: "ANONYMOUS" });
    await this.next("sasl-outcome");
    this.write(AMQP_HEADER);
    await this.header();
  }

  async begin(channel: number, incomingWindow = 5_000): Promise<void> {
    this.send(channel, { kind: "begin", nextOutgoingId: 0, incomingWindow, outgoingWindow: 5_000, handleMax: 255 });
    await this.next("begin");
  }

  /** Attaches a link as a sender; the answer, accepted or not. */
  async attachSender(handle: number, address: string, more: Partial<Attach> = {}): Promise<Received<"attach">> {
    this.send(0, {
      kind: "attach",
      name: `sender-${handle}`,
      handle,
      role: false,
      source: source("client"),
      target: target(address),
      initialDeliveryCount: 0,
      ...more,
    });
    return await this.next("attach");
  }

  async attachReceiver(handle: number, address: string, more: Partial<Attach> = {}): Promise<Received<"attach">> {
    this.send(0, {
      kind: "attach",
      name: `receiver-${handle}`,
      handle,
      role: true,
      source: source(address),
      target: target("client"),
      ...more,
    });
    return await this.next("attach");
  }

  flow(flow: Omit<Flow, "kind">): void {
    this.send(0, { kind: "flow", nextIncomingId: 0, incomingWindow: 5_000, nextOutgoingId: 0, outgoingWindow: 5_000, ...flow });
  }

  transfer(
    handle: number,
    deliveryId: number,
    payload: Buffer,
    more: { more?: boolean; settled?: boolean; messageFormat?: number; aborted?: boolean } = {},
  ): void {
    const tag = Buffer.from(String(deliveryId));
    this.send(0, { kind: "transfer", handle, deliveryId, deliveryTag: tag, messageFormat: 0, settled: false, ...more }, payload);
  }

  send(channel: number, performative: Performative | undefined, payload?: Buffer): void {
    this.write(encodeFrame(channel, performative, payload));
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** The next protocol header of the server. */
  async header(): Promise<Buffer> {
    this.#headersToCome++;
    this.#read();
    await this.#until(() => this.#headers.length > 0, "a protocol header");
    const header = this.#headers.shift() ?? Buffer.alloc(0);
    // What came with it are frames.
    this.#read();
    return header;
  }

  /** The next frame of a kind; those of other kinds that came before it are passed over. */
  async next<K extends Performative["kind"]>(kind: K): Promise<Received<K>> {
    await this.#until(() => this.#frames.some((frame) => frame.performative?.kind === kind), `"${kind}"`);
    const at = this.#frames.findIndex((frame) => frame.performative?.kind === kind);
    const [frame] = this.#frames.splice(0, at + 1).slice(-1);
    if (frame?.performative?.kind !== kind) throw new Error("the frame is gone");
    return { channel: frame.channel, performative: frame.performative as Received<K>["performative"], payload: frame.payload };
  }

  /** Waits for a frame without a performative: a sign of life. */
  async signOfLife(): Promise<void> {
    await this.#until(() => this.#frames.some((frame) => frame.performative === undefined), "an empty frame");
  }

  /** Frames of a kind that have come and were not taken by {@link next}. */
  waiting(kind: Performative["kind"]): number {
    return this.#frames.filter((frame) => frame.performative?.kind === kind).length;
  }

  /** Settles when the server has closed the socket. */
  async closed(): Promise<void> {
    await this.#until(() => this.#closed, "the end of the connection", true);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(): void {
    while (this.#headersToCome > 0) {
      const header = this.#reader.nextHeader();
      if (!header) break;
      this.#headersToCome--;
      this.#headers.push(header);
    }
    if (this.#headersToCome === 0 && this.#headers.length === 0) {
      for (let frame = this.#reader.nextFrame(); frame; frame = this.#reader.nextFrame()) this.#frames.push(frame);
    }
    this.#changed();
  }

  async #until(condition: () => boolean, what: string, closedIsFine = false): Promise<void> {
    const deadline = Date.now() + 15_000;
    while (!condition()) {
      if (this.#closed && !closedIsFine) throw new Error(`the connection was closed while the client waited for ${what}`);
      if (Date.now() > deadline)
        throw new Error(`${what} did not come; there came: ${this.#frames.map((frame) => frame.performative?.kind).join(", ")}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

export const source = (address: string): AmqpValue => described(ulong(0x28n), [address]);
export const target = (address: string): AmqpValue => described(ulong(0x29n), [address]);
