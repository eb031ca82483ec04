import { randomBytes } from "node:crypto";
import { ServiceBusClient } from "@azure/service-bus";
import { afterAll, onTestFinished } from "vitest";
import type { EmulatorOptions } from "../../../packages/service-bus-emulator/src/index.js";
import type {
  Delivery,
  EndpointPlan,
  OutgoingMessage,
  Receiver,
  SendResult,
  Transport,
  TransportHost,
} from "../../../src/contracts/transport.js";
import { type AzureServiceBusOptions, azureServiceBus } from "../../../transports/azure-service-bus/index.js";
import { createQueues, type ServiceBusUnderTest, startServiceBus } from "../../support/service-bus.js";
import { TcpProxy } from "../../support/tcp-proxy.js";

/** One emulator for the tests of a file; each test takes names of its own. */
export class Bench {
  readonly broker: ServiceBusUnderTest;

  private constructor(broker: ServiceBusUnderTest) {
    this.broker = broker;
  }

  static async start(given: EmulatorOptions = {}): Promise<Bench> {
    const broker = await startServiceBus(given);
    afterAll(() => broker.stop());
    return new Bench(broker);
  }

  /** A name that nothing else in the broker has. */
  name(label: string): string {
    return `${label}-${randomBytes(4).toString("hex")}`;
  }

  /** An open transport; closed when the test ends. */
  async port(options: Partial<AzureServiceBusOptions> = {}, namePrefix = ""): Promise<Port> {
    const port = new Port({ ...this.broker.options, ...options });
    onTestFinished(() => port.close());
    return port.open(namePrefix);
  }

  /** As {@link port}, over a proxy that can take its connections away. */
  async mortalPort(options: Partial<AzureServiceBusOptions> = {}): Promise<Port> {
    const proxy = await TcpProxy.listen({ targetPort: this.broker.port, seed: 1 });
    const port = new Port({ ...this.broker.optionsThrough(proxy.port), ...options }, proxy);
    onTestFinished(() => port.close());
    return port.open();
  }

  /** The client as it is, for what the adapter would not do. */
  client(): ServiceBusClient {
    const client = new ServiceBusClient(this.broker.options.connectionString);
    onTestFinished(() => client.close());
    return client;
  }

  /** An endpoint that is in the broker. */
  endpoint(plan: Partial<EndpointPlan> = {}, lockDurationMs = 10_000): EndpointPlan {
    const endpoint: EndpointPlan = {
      name: this.name("orders"),
      subscribed: [],
      unsubscribed: [],
      retryDelaysMs: [200],
      order: "none",
      ...plan,
    };
    createQueues(this.broker, endpoint, lockDurationMs);
    return endpoint;
  }
}

export interface Status {
  readonly part: string;
  readonly status: string;
  readonly reason: string | undefined;
}

/** A transport at the port, as the core would use it, with what it said. */
export class Port {
  readonly transport: Transport;
  readonly statuses: Status[] = [];
  readonly log: string[] = [];
  readonly proxy: TcpProxy | undefined;
  #isClosed = false;

  constructor(options: AzureServiceBusOptions, proxy?: TcpProxy) {
    this.transport = azureServiceBus(options);
    this.proxy = proxy;
  }

  async open(namePrefix = "", signal: AbortSignal = AbortSignal.timeout(20_000)): Promise<this> {
    const say = (level: string) => (text: string) => void this.log.push(`${level}: ${text}`);
    const host: TransportHost = {
      service: "tests",
      namePrefix,
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
    onTestFinished(() => inbox.close());
    return inbox;
  }

  /** The letters of an endpoint, which are kept. */
  async letters(endpoint: EndpointPlan): Promise<readonly Delivery[]> {
    const inbox = await this.receive(endpoint, 16, "dead-letter");
    inbox.onDelivery = (letter) => void letter.release();
    for (const letter of inbox.deliveries) void letter.release();
    await eventually("the end of the dead letters", () => inbox.isExhausted);
    await inbox.close();
    return inbox.deliveries;
  }

  /**
   * What the death of a process looks like from the broker: its connections are gone in the middle of whatever it did, it says nothing more, and what
   * it knew is gone with it. Only of {@link Bench.mortalPort}.
   */
  async die(): Promise<void> {
    if (!this.proxy) throw new Error("this port is not mortal");
    this.#isClosed = true;
    await this.proxy.apply({ type: "down" });
    await this.transport.close(performance.now());
    await this.proxy.close();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.transport.close(performance.now() + 5_000);
    await this.proxy?.close();
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
  async reach(count: number, deadlineMs = 20_000): Promise<readonly Delivery[]> {
    await eventually(
      () => `${count} deliveries, have ${this.deliveries.length}`,
      () => this.deliveries.length >= count,
      deadlineMs,
    );
    return this.deliveries;
  }

  /** The texts of the bodies, in the order of delivery. */
  get texts(): string[] {
    return this.deliveries.map(textOf);
  }

  async close(): Promise<void> {
    const { receiver } = this;
    this.receiver = undefined;
    await receiver?.stop();
    await receiver?.close(performance.now() + 5_000);
  }
}

export function textOf(delivery: Delivery): string {
  return Buffer.from(delivery.body).toString();
}

/** A message to an endpoint, or an event when `to` says so. */
export function message(
  to: OutgoingMessage["to"],
  text: string,
  more: Partial<OutgoingMessage["properties"]> = {},
  headers: OutgoingMessage["headers"] = {},
): OutgoingMessage {
  const messageId = `m-${randomBytes(6).toString("hex")}`;
  return {
    to,
    body: Buffer.from(text),
    headers,
    properties: {
      messageId,
      messageType: "tests.text",
      contentType: "text/plain",
      correlationId: messageId,
      partitionKey: undefined,
      ...more,
    },
  };
}

/** Failure headers as the core makes them. */
export const FAILURE = {
  "tb-reason": "failed",
  "tb-error-name": "Error",
  "tb-error-message": "it did not work",
  "tb-attempts": "1",
} as const;

/** Waits until `holds` says so, looking often. @throws Error naming `what` when it does not come to that */
export async function eventually(
  what: string | (() => string),
  holds: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
