import { randomBytes } from "node:crypto";
import { type Admin, Kafka, logLevel } from "kafkajs";
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
import { type KafkaOptions, kafka } from "../../../transports/kafka/index.js";
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

  constructor(options: KafkaOptions, namePrefix: string) {
    this.transport = kafka(options);
    this.namePrefix = namePrefix;
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

  send(...messages: OutgoingMessage[]): Promise<readonly SendResult[]> {
    return this.transport.send(messages, AbortSignal.timeout(20_000));
  }

  async receive(
    endpoint: EndpointPlan,
    prefetch = 10,
    from: "endpoint" | "dead-letter" = "endpoint",
    onDelivery: Inbox["onDelivery"] = () => {},
  ): Promise<Inbox> {
    const inbox = new Inbox();
    inbox.onDelivery = onDelivery;
    inbox.receiver = await this.transport.receive({ endpoint, from, prefetch }, inbox);
    return inbox;
  }

  async close(): Promise<void> {
    await this.transport.close(performance.now() + 5_000);
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

  async close(): Promise<void> {
    await this.receiver?.close(performance.now() + 5_000);
  }
}

let messages = 0;

/** A command, or an event when `to` says so. */
export function message(
  to: OutgoingMessage["to"],
  text: string | Uint8Array,
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

/** A record as it lies in the broker. */
export interface StoredRecord {
  readonly partition: number;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Ports and names of one test, with a raw client beside them; all of it is taken away when the test ends. */
export class Bench {
  readonly brokers: readonly string[];
  readonly namePrefix: string = `t${randomBytes(4).toString("hex")}.`;
  readonly kafka: Kafka;
  readonly #ports: Port[] = [];
  #admin: Promise<Admin> | undefined;

  constructor(brokers: readonly string[]) {
    this.brokers = brokers;
    this.kafka = new Kafka({ clientId: "bench", brokers: [...brokers], logLevel: logLevel.NOTHING });
    onTestFinished(() => this.#tearDown());
  }

  port(options: Partial<KafkaOptions> = {}): Promise<Port> {
    return this.newPort(options).open();
  }

  newPort(options: Partial<KafkaOptions> = {}): Port {
    const port = new Port({ brokers: this.brokers, ...options }, this.namePrefix);
    this.#ports.push(port);
    return port;
  }

  plan(name: string, more: Partial<EndpointPlan> = {}): EndpointPlan {
    return { name, subscribed: [], unsubscribed: [], retryDelaysMs: [], order: "none", ...more };
  }

  admin(): Promise<Admin> {
    this.#admin ??= (async () => {
      const admin = this.kafka.admin();
      await admin.connect();
      return admin;
    })();
    return this.#admin;
  }

  /** Makes a topic behind the adapter's back. */
  async makeTopic(name: string, partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value }));
    const topics = [{ topic: this.namePrefix + name, numPartitions: partitions, replicationFactor: 1, configEntries }];
    const admin = await this.admin();
    await admin.createTopics({ waitForLeaders: false, topics });
    // kafkajs's own waiting fails where the broker that it asks does not know of the topic yet.
    const isUsable = () => admin.fetchTopicOffsets(this.namePrefix + name).then(Boolean, () => false);
    await eventually(`topic ${name} to be usable`, isUsable);
  }

  /** All that is in a topic now, each partition's in its order. */
  async stored(name: string): Promise<readonly StoredRecord[]> {
    const topic = this.namePrefix + name;
    const admin = await this.admin();
    let ends = await admin.fetchTopicOffsets(topic).catch(() => undefined);
    // Of a new partition its leader may not know yet that it is one.
    while (!ends) ends = await admin.fetchTopicOffsets(topic).catch(() => undefined);
    const left = new Map(
      ends.filter(({ low, high }) => Number(high) > Number(low)).map(({ partition, high }) => [partition, Number(high)]),
    );
    const records: StoredRecord[] = [];
    if (left.size === 0) return records;
    const consumer = this.kafka.consumer({ groupId: `${topic}-${randomBytes(4).toString("hex")}`, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message: { key, value, headers, offset } }) => {
        records.push({
          partition,
          key: key?.toString(),
          value: value?.toString(),
          headers: Object.fromEntries(Object.entries(headers ?? {}).map(([header, text]) => [header, String(text)])),
        });
        if (Number(offset) + 1 >= (left.get(partition) ?? 0)) left.delete(partition);
      },
    });
    await eventually(`all of ${topic}`, () => left.size === 0);
    await consumer.disconnect();
    return records;
  }

  async #tearDown(): Promise<void> {
    await Promise.all(this.#ports.map((port) => port.close()));
    const admin = await this.admin();
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(this.namePrefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    await admin.disconnect();
  }
}
