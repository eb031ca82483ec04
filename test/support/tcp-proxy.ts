import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Random } from "./random.js";

/** Which way: "upstream" is from the client to the server. @default "both" */
export type Direction = "upstream" | "downstream" | "both";

/**
 * How a network misbehaves. The eight behaviours of toxiproxy; times are milliseconds, sizes bytes.
 *
 * - `latency`: every byte arrives later, in order, by `ms` plus or minus `jitterMs`; the rate stays.
 * - `down`: connections are closed, new ones are refused.
 * - `bandwidth`: no more than `bytesPerSecond`.
 * - `slow-close`: the end of a connection is handed on `ms` later.
 * - `black-hole`: what is sent is swallowed without a word, for ever or until `closeAfterMs`. When it is taken away, connections that lost
 *   bytes are reset: a TCP stream never has a hole.
 * - `reset`: connections are ended by a TCP reset, `afterMs` from now or from their beginning.
 * - `slicer`: data comes in pieces of `bytes` plus or minus `variation`, `pauseMs` apart.
 * - `limit`: a connection is closed when it has carried `bytes` in one direction, in the middle of whatever it carries then.
 */
export type Behaviour =
  | { readonly type: "latency"; readonly ms: number; readonly jitterMs?: number; readonly direction?: Direction }
  | { readonly type: "down" }
  | { readonly type: "bandwidth"; readonly bytesPerSecond: number; readonly direction?: Direction }
  | { readonly type: "slow-close"; readonly ms: number; readonly direction?: Direction }
  | { readonly type: "black-hole"; readonly closeAfterMs?: number; readonly direction?: Direction }
  | { readonly type: "reset"; readonly afterMs?: number }
  | {
      readonly type: "slicer";
      readonly bytes: number;
      readonly variation?: number;
      readonly pauseMs?: number;
      readonly direction?: Direction;
    }
  | { readonly type: "limit"; readonly bytes: number; readonly direction?: Direction };

export interface TcpProxyOptions {
  readonly targetPort: number;
  /** @default "127.0.0.1" */
  readonly targetHost?: string;
  /** Where it listens, on loopback. @default 0: any free port */
  readonly port?: number;
  /** Decides jitter and the sizes of slices. @default 1 */
  readonly seed?: number;
}

/** Held for a connection before its sender is told to wait, so that latency does not become a limit of the rate. */
const QUEUE_LIMIT_BYTES = 1_048_576;

/** A TCP proxy on loopback whose behaviour is switched while connections go through it. */
export class TcpProxy {
  readonly #behaviours = new Map<Behaviour["type"], Behaviour>();
  readonly #connections = new Set<ProxiedConnection>();
  readonly #random: Random;
  readonly #target: { readonly host: string; readonly port: number };
  #server: Server | undefined;
  #port: number;
  /** Connections that clients made, those that the target then refused included. */
  accepted = 0;
  /** Connections that this proxy broke by itself. */
  cut = 0;

  private constructor(options: TcpProxyOptions) {
    this.#target = { host: options.targetHost ?? "127.0.0.1", port: options.targetPort };
    this.#port = options.port ?? 0;
    this.#random = new Random(options.seed ?? 1);
  }

  /** Resolves when connections can be made. */
  static async listen(options: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(options);
    await proxy.#listen();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Behaves so from now on, on the connections that are there and on new ones; replaces a behaviour of the same type. */
  async apply(behaviour: Behaviour): Promise<void> {
    this.#behaviours.set(behaviour.type, behaviour);
    if (behaviour.type === "down") await this.#goDown();
    for (const connection of this.#connections) connection.behavioursChanged();
  }

  /** The connections that are there swallow everything from now on, as through a firewall that has forgotten them; new ones are as they would be. */
  forgetConnections(): void {
    for (const connection of this.#connections) connection.forget();
  }

  /** Takes one behaviour away. */
  async remove(type: Behaviour["type"]): Promise<void> {
    if (!this.#behaviours.delete(type)) return;
    if (type === "down") await this.#listen();
    for (const connection of this.#connections) connection.behavioursChanged();
  }

  /** Takes all behaviours away: a network without fault. */
  async heal(): Promise<void> {
    for (const type of [...this.#behaviours.keys()]) await this.remove(type);
  }

  async close(): Promise<void> {
    this.#behaviours.clear();
    await this.#goDown();
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => this.#accept(client));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async #goDown(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server && new Promise((resolve) => server.close(resolve));
    for (const connection of this.#connections) connection.cut("close");
    await closed;
  }

  #accept(client: Socket): void {
    this.accepted++;
    const upstream = connect({ ...this.#target, allowHalfOpen: true });
    const connection = new ProxiedConnection(client, upstream, {
      behaviours: this.#behaviours,
      random: this.#random.fork(),
      onCut: () => {
        this.cut++;
      },
      onGone: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    connection.behavioursChanged();
  }
}

const FORGOTTEN: ReadonlyMap<Behaviour["type"], Behaviour> = new Map([["black-hole", { type: "black-hole" }]]);

interface ConnectionHost {
  behaviours: ReadonlyMap<Behaviour["type"], Behaviour>;
  readonly random: Random;
  readonly onCut: () => void;
  readonly onGone: () => void;
}

class ProxiedConnection {
  readonly #host: ConnectionHost;
  readonly #sockets: readonly [Socket, Socket];
  readonly #flows: readonly [Flow, Flow];
  #timer: NodeJS.Timeout | undefined;
  #gone = false;

  constructor(client: Socket, upstream: Socket, host: ConnectionHost) {
    this.#host = host;
    this.#sockets = [client, upstream];
    this.#flows = [new Flow(client, upstream, "upstream", host, this), new Flow(upstream, client, "downstream", host, this)];
    for (const socket of this.#sockets) {
      socket.setNoDelay(true);
      socket.on("error", () => this.end("reset"));
      socket.on("close", () => this.#socketClosed());
    }
  }

  forget(): void {
    this.#host.behaviours = FORGOTTEN;
    this.behavioursChanged();
  }

  behavioursChanged(): void {
    if (this.#gone) return;
    const { behaviours } = this.#host;
    const hole = behaviours.get("black-hole");
    const reset = behaviours.get("reset");
    clearTimeout(this.#timer);
    if (!hole && this.#flows.some((flow) => flow.swallowed)) this.cut("reset");
    else if (reset?.type === "reset") this.#timer = setTimeout(() => this.cut("reset"), reset.afterMs ?? 0);
    else if (hole?.type === "black-hole" && hole.closeAfterMs !== undefined) {
      this.#timer = setTimeout(() => this.cut("close"), hole.closeAfterMs);
    }
    for (const flow of this.#flows) flow.wake();
  }

  /** Broken by the proxy, and counted as such. */
  cut(how: "close" | "reset"): void {
    if (this.#gone) return;
    this.#host.onCut();
    this.end(how);
  }

  end(how: "close" | "reset"): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#timer);
    for (const flow of this.#flows) flow.stop();
    for (const socket of this.#sockets) {
      if (how === "reset" && !socket.connecting) socket.resetAndDestroy();
      else socket.destroy();
    }
    this.#host.onGone();
  }

  #socketClosed(): void {
    if (this.#sockets.every((socket) => socket.destroyed)) this.end("close");
  }
}

/** One direction of one connection: takes from one socket, shapes, gives to the other, strictly in order. */
class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: "upstream" | "downstream";
  readonly #host: ConnectionHost;
  readonly #connection: ProxiedConnection;
  readonly #queue: { readonly data: Buffer; readonly at: number }[] = [];
  #queuedBytes = 0;
  #carried = 0;
  #ended = false;
  #stopped = false;
  #pumping = false;
  #interrupt: (() => void) | undefined;
  swallowed = false;

  constructor(from: Socket, to: Socket, direction: "upstream" | "downstream", host: ConnectionHost, connection: ProxiedConnection) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#host = host;
    this.#connection = connection;
    from.on("data", (data) => this.#take(data));
    from.on("end", () => {
      this.#ended = true;
      void this.#pump();
    });
    from.resume();
  }

  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  /** Looks again at the behaviours instead of waiting out those of before. */
  wake(): void {
    this.#interrupt?.();
  }

  #take(data: Buffer): void {
    this.#queue.push({ data, at: performance.now() });
    this.#queuedBytes += data.length;
    if (this.#queuedBytes > QUEUE_LIMIT_BYTES) this.#from.pause();
    void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let next = this.#queue.shift(); next && !this.#stopped; next = this.#queue.shift()) {
      this.#queuedBytes -= next.data.length;
      if (this.#from.isPaused() && this.#queuedBytes <= QUEUE_LIMIT_BYTES) this.#from.resume();
      await this.#carry(next.data, next.at);
    }
    this.#pumping = false;
    if (this.#ended && !this.#stopped) await this.#handOnEnd();
  }

  async #carry(data: Buffer, arrivedAt: number): Promise<void> {
    const random = this.#host.random;
    const latency = this.#active("latency");
    if (latency) {
      const jitter = (latency.jitterMs ?? 0) * (2 * random.next() - 1);
      await this.#waitWhile("latency", arrivedAt + latency.ms + jitter - performance.now());
    }
    for (let offset = 0; offset < data.length && !this.#stopped; ) {
      const slicer = this.#active("slicer");
      const bandwidth = this.#active("bandwidth");
      let size = data.length - offset;
      if (slicer) size = Math.min(size, Math.max(1, slicer.bytes + random.integer(-(slicer.variation ?? 0), slicer.variation ?? 0)));
      // A tenth of a second's worth at a time, so that a change of the behaviour is felt soon.
      if (bandwidth) size = Math.min(size, Math.max(1, Math.ceil(bandwidth.bytesPerSecond / 10)));
      await this.#give(data.subarray(offset, offset + size));
      offset += size;
      if (slicer?.pauseMs && offset < data.length) await this.#waitWhile("slicer", slicer.pauseMs);
      if (bandwidth) await this.#waitWhile("bandwidth", (size / bandwidth.bytesPerSecond) * 1000);
    }
  }

  async #give(data: Buffer): Promise<void> {
    if (this.#active("black-hole")) {
      this.swallowed = true;
      return;
    }
    const limit = this.#active("limit");
    const allowed = limit ? Math.max(0, limit.bytes - this.#carried) : data.length;
    const part = data.subarray(0, allowed);
    this.#carried += part.length;
    if (part.length > 0 && this.#to.writable) await this.#write(part);
    if (limit && this.#carried >= limit.bytes) this.#connection.cut("close");
  }

  async #write(data: Buffer): Promise<void> {
    if (this.#to.write(data)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#to.off("drain", done);
        this.#to.off("close", done);
        resolve();
      };
      this.#to.once("drain", done);
      this.#to.once("close", done);
    });
  }

  async #handOnEnd(): Promise<void> {
    const slow = this.#active("slow-close");
    if (slow) await this.#waitWhile("slow-close", slow.ms);
    if (this.#active("black-hole")) this.swallowed = true;
    else if (!this.#stopped && this.#to.writable) this.#to.end();
  }

  /** Waits, but no longer than the behaviour lasts or the connection lives. */
  async #waitWhile(type: Behaviour["type"], ms: number): Promise<void> {
    const until = performance.now() + ms;
    for (let rest = ms; rest > 0 && !this.#stopped && this.#active(type); rest = until - performance.now()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#interrupt = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#interrupt = undefined;
    }
  }

  #active<T extends Behaviour["type"]>(type: T): Extract<Behaviour, { type: T }> | undefined {
    const behaviour = this.#host.behaviours.get(type) as (Extract<Behaviour, { type: T }> & { readonly direction?: Direction }) | undefined;
    const direction = behaviour?.direction ?? "both";
    return behaviour && (direction === "both" || direction === this.#direction) ? behaviour : undefined;
  }
}
