import { type Admin, Kafka, logLevel, Partitioners, type Producer } from "kafkajs";
import {
  type DeliverySink,
  type OutgoingMessage,
  type Receiver,
  type ReceiveSource,
  type SendResult,
  type TopologyPlan,
  type Transport,
  type TransportCapabilities,
  TrolleybusError,
} from "trolleybus";
import { CarelessKafkaReceiver } from "./careless-kafka-receiver.js";

/** The mistakes that it makes. With none of them it loses nothing, which shows that the others do. */
export interface KafkaMistakes {
  /** Offsets are committed when their records arrive. */
  readonly commitFirst?: boolean;
  /** kafkajs's idempotent mode, with more than one send in flight. */
  readonly idempotent?: boolean;
  /** What was fetched of a partition that another instance has now is committed: it need not be handled here any more. */
  readonly commitLost?: boolean;
  /** After a rejoin everything begins anew: what is being handled, and what is done but not committed, is forgotten. */
  readonly resetAtRejoin?: boolean;
}

const PARTITIONS = 6;
/** Shorter than a freeze, so that requests are sent again. */
const REQUEST_TIMEOUT_MS = 3_000;

/**
 * A small Kafka transport for the controls: raw kafkajs behind the port, without retries and dead letters. The services that use it run the
 * "plain" workload, in which no handler fails.
 */
export class CarelessKafkaTransport implements Transport {
  readonly name = "careless";
  readonly capabilities: TransportCapabilities = {
    durable: true,
    order: "none",
    settlesIndividually: false,
    countsStarts: false,
    keeps: "time",
    maxHoldMs: Number.POSITIVE_INFINITY,
    maxMessageBytes: 900_000,
    maxNameLength: 200,
  };
  readonly #kafka: Kafka;
  readonly #mistakes: KafkaMistakes;
  readonly #producer: Producer;

  constructor(brokers: readonly string[], mistakes: KafkaMistakes) {
    this.#mistakes = mistakes;
    this.#kafka = new Kafka({
      clientId: "careless",
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      requestTimeout: REQUEST_TIMEOUT_MS,
      retry: { retries: 1_000_000, initialRetryTime: 200, maxRetryTime: 1_000 },
    });
    this.#producer = this.#kafka.producer({
      idempotent: mistakes.idempotent === true,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
  }

  async open(): Promise<void> {
    await this.#producer.connect();
  }

  async provision(plan: TopologyPlan): Promise<void> {
    const topics = [...new Set([...plan.events, ...plan.endpoints.flatMap((endpoint) => endpoint.subscribed)])];
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      for (const topic of topics) await makeTopic(admin, topic);
    } finally {
      await admin.disconnect();
    }
  }

  async send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]> {
    return await Promise.all(messages.map((message) => this.#sendOne(message, signal)));
  }

  async receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    if (source.from === "dead-letter")
      throw new TrolleybusError("unsupported", "the control has no dead letters", { cause: undefined, retryable: false });
    const receiver = new CarelessKafkaReceiver(this.#kafka, source, sink, this.#mistakes);
    await receiver.start();
    return receiver;
  }

  async close(): Promise<void> {
    await this.#producer.disconnect().catch(() => {});
  }

  async #sendOne({ to, body, properties }: OutgoingMessage, signal: AbortSignal): Promise<SendResult> {
    const { contentType, correlationId, messageId, messageType } = properties;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    const headers = { "content-type": contentType, "correlation-id": correlationId, "message-id": messageId, "message-type": messageType };
    const sent = this.#producer.send({
      topic: "event" in to ? to.event : to.endpoint,
      acks: -1,
      messages: [{ key: properties.partitionKey ?? null, value: Buffer.from(body), headers }],
    });
    try {
      await Promise.race([sent, aborted]);
      return { outcome: "sent" };
    } catch (error) {
      sent.catch(() => {}); // It goes on behind the deadline; what comes of it is unknown.
      return { outcome: "unknown", error: unavailable(String(error)) };
    }
  }
}

/** Several instances do this at one time, and one that comes second may be told that the topic has no leader yet. */
async function makeTopic(admin: Admin, topic: string): Promise<void> {
  const create = () => admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: -1 }], waitForLeaders: true });
  await create().catch(create);
}

export function unavailable(text: string): TrolleybusError & { readonly code: "unavailable" } {
  return new TrolleybusError("unavailable", text, { cause: undefined, retryable: true }) as TrolleybusError & {
    readonly code: "unavailable";
  };
}
