import { randomBytes } from "node:crypto";
import { type Channel, type ChannelModel, connect } from "amqplib";
import { onTestFinished } from "vitest";
import type {
  Delivery,
  EndpointPlan,
  OutgoingMessage,
  Receiver,
  SendResult,
  Transport,
  TransportHost,
} from "../../../src/contracts/transport.js";
import { type RabbitMqOptions, rabbitmq } from "../../../transports/rabbitmq/index.js";
import { TcpProxy } from "../../support/tcp-proxy.js";
import { eventually } from "./eventually.js";

export interface Status {
  readonly part: string;
  readonly status: string;
  readonly reason: string | undefined;
}

/** A transport at the port, as the core would use it, with what it said. Closed when the test ends. */
export class Port {
  readonly transport: Transport;
  readonly statuses: Status[] = [];
  readonly log: string[] = [];
  readonly namePrefix: string;
  readonly #proxy: TcpProxy | undefined;
  #isClosed = false;

  constructor(options: RabbitMqOptions, namePrefix: string, proxy?: TcpProxy) {
    this.transport = rabbitmq(options);
    this.namePrefix = namePrefix;
    this.#proxy = proxy;
  }

  /** Takes its connections away for good. Only of {@link Bench.mortalPort}. */
  async goOffline(): Promise<void> {
    await this.#proxy?.apply({ type: "down" });
  }

  /**
   * What the death of a process looks like from the broker: its connections are gone in the middle of whatever it did, it says nothing more, and what
   * it knew is gone with it. Only of {@link Bench.mortalPort}.
   */
  async die(): Promise<void> {
    if (!this.#proxy) throw new Error("this port is not mortal");
    this.#isClosed = true;
    await this.#proxy.apply({ type: "down" });
    await this.transport.close(performance.now());
    await this.#proxy.close();
  }

  async open(signal: AbortSignal = AbortSignal.timeout(20_000)): Promise<this> {
    const say = (level: string) => (text: string) => void this.log.push(`${level}: ${text}`);
    const host: TransportHost = {
      service: "tests",
      namePrefix: this.namePrefix,
      logger: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
      status: (part, status, reason) =>
        void this.statuses.push({ part: "publisher" in part ? "publisher" : part.endpoint, status, reason }),
      lag: () => {},
    };
    await this.transport.open(host, signal);
    return this;
  }

  /** The last that was said of the publisher, or of an endpoint. */
  statusOf(part: string): Status | undefined {
    return this.statuses.findLast((status) => status.part === part);
  }

  async send(...messages: OutgoingMessage[]): Promise<readonly SendResult[]> {
    return this.transport.send(messages, AbortSignal.timeout(20_000));
  }

  async receive(endpoint: EndpointPlan, prefetch = 10, from: "endpoint" | "dead-letter" = "endpoint"): Promise<Inbox> {
    const inbox = new Inbox();
    inbox.receiver = await this.transport.receive({ endpoint, from, prefetch }, inbox);
    return inbox;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.transport.close(performance.now() + 5_000);
    await this.#proxy?.close();
  }
}

/** What a receiver delivered. */
export class Inbox {
  readonly deliveries: Delivery[] = [];
  isExhausted = false;
  receiver: Receiver | undefined;
  onDelivery: (delivery: Delivery) => void = () => {};

  deliver(delivery: Delivery): void {
    this.deliveries.push(delivery);
    this.onDelivery(delivery);
  }

  exhausted(): void {
    this.isExhausted = true;
  }

  /** Waits for so many deliveries in all. */
  async reach(count: number, deadlineMs = 15_000): Promise<readonly Delivery[]> {
    await eventually(`${count} deliveries, have ${this.deliveries.length}`, () => this.deliveries.length >= count, deadlineMs);
    return this.deliveries;
  }

  /** The texts of the bodies, in the order of delivery. */
  get texts(): string[] {
    return this.deliveries.map(textOf);
  }

  async close(): Promise<void> {
    await this.receiver?.close(performance.now() + 5_000);
  }
}

export function textOf(delivery: Delivery): string {
  return Buffer.from(delivery.body).toString();
}

let messages = 0;

/** A command, or an event when `to` says so. */
export function message(
  to: OutgoingMessage["to"],
  text: string,
  more: Partial<OutgoingMessage["properties"]> = {},
  headers: OutgoingMessage["headers"] = {},
): OutgoingMessage {
  const messageId = `m-${++messages}-${randomBytes(3).toString("hex")}`;
  return {
    to,
    body: Buffer.from(text),
    properties: {
      messageId,
      messageType: "test.thing",
      contentType: "text/plain",
      correlationId: messageId,
      partitionKey: undefined,
      ...more,
    },
    headers,
  };
}

/** Ports and names of one test, with a raw connection beside them; all of it is taken away when the test ends. */
export class Bench {
  readonly url: string;
  readonly namePrefix: string = `t${randomBytes(4).toString("hex")}.`;
  readonly #ports: Port[] = [];
  readonly #names = new Set<string>();
  readonly #types = new Set<string>();
  #connection: Promise<ChannelModel> | undefined;

  constructor(url: string) {
    this.url = url;
    onTestFinished(() => this.#tearDown());
  }

  async port(options: Partial<RabbitMqOptions> = {}): Promise<Port> {
    return this.newPort(options).open();
  }

  /** A port that can {@link Port.die}. */
  async mortalPort(): Promise<Port> {
    const url = new URL(this.url);
    const proxy = await TcpProxy.listen({ targetHost: url.hostname, targetPort: Number(url.port || 5672) });
    url.hostname = "127.0.0.1";
    url.port = String(proxy.port);
    const port = new Port({ url: url.href }, this.namePrefix, proxy);
    this.#ports.push(port);
    return port.open();
  }

  newPort(options: Partial<RabbitMqOptions> = {}): Port {
    const port = new Port({ url: this.url, ...options }, this.namePrefix);
    this.#ports.push(port);
    return port;
  }

  plan(name: string, more: Partial<EndpointPlan> = {}): EndpointPlan {
    const plan: EndpointPlan = { name, subscribed: [], unsubscribed: [], retryDelaysMs: [], order: "none", ...more };
    const queue = this.namePrefix + name;
    for (const ending of ["", ".dead-letter", ".suspect", ".suspect.runs", ".retry.100ms", ".retry.1s", ".retry.10s"])
      this.#names.add(queue + ending);
    for (const type of [...plan.subscribed, ...plan.unsubscribed]) this.#types.add(this.namePrefix + type);
    return plan;
  }

  /** An exchange that is taken away in the end. */
  exchange(type: string): string {
    this.#types.add(this.namePrefix + type);
    return this.namePrefix + type;
  }

  /** A raw channel. */
  async channel(): Promise<Channel> {
    this.#connection ??= connect(this.url).then((connection) => {
      connection.on("error", () => {});
      return connection;
    });
    const channel = await (await this.#connection).createChannel();
    channel.on("error", () => {});
    return channel;
  }

  /** Messages that are ready in a queue of this bench, as the broker counts them now. */
  async ready(name: string): Promise<number> {
    const channel = await this.channel();
    const { messageCount } = await channel.checkQueue(this.namePrefix + name);
    await channel.close();
    return messageCount;
  }

  async isEmpty(name: string): Promise<void> {
    await eventually(`the queue ${name} to be empty`, async () => (await this.ready(name)) === 0);
  }

  async #tearDown(): Promise<void> {
    await Promise.all(this.#ports.map((port) => port.close()));
    const channel = await this.channel();
    for (const name of this.#names) await channel.deleteQueue(name);
    for (const type of this.#types) await channel.deleteExchange(type);
    await (await this.#connection)?.close();
  }
}
