import { setTimeout as sleep } from "node:timers/promises";
import { type Admin, type Consumer, type EachBatchPayload, Kafka, logLevel, type Message, Partitioners, type Producer } from "kafkajs";
import { atRate, countdown, type Figures, meter, meterAfter, pump, quantile } from "../meter.js";
import { OrderPlaced, rawDocument } from "../payload.js";
import {
  ARRAY,
  BACKLOG,
  brokers,
  HANDLER_MS,
  IDLE_SECONDS,
  KEYS,
  LATENCY_RATE,
  LATENCY_SECONDS,
  MESSAGES,
  OUTSTANDING,
  PARTITIONS,
  RAW_KEYED_MESSAGES,
  SINGLE_MESSAGES,
  SINGLE_WARM_UP,
  WARM_UP,
} from "./kafka-settings.js";

const kafka = new Kafka({ clientId: "bench-raw", brokers: [...brokers], logLevel: logLevel.NOTHING });

async function withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

const topicOf = (prefix: string): string => `${prefix}bench-raw`;

async function openProducer(prefix: string): Promise<Producer> {
  const topics = [{ topic: topicOf(prefix), numPartitions: PARTITIONS }];
  await withAdmin((admin) => admin.createTopics({ topics, waitForLeaders: true }));
  const producer = kafka.producer({ allowAutoTopicCreation: false, createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  return producer;
}

/** The same bytes and headers as the bus. */
function record(message: OrderPlaced, key: string | null = null): Message {
  const { id, text } = rawDocument(message);
  const headers = {
    "content-type": "application/cloudevents+json",
    "message-id": id,
    "message-type": OrderPlaced.messageType,
    "correlation-id": id,
  };
  return { key, value: text, headers };
}

async function fill(producer: Producer, topic: string, count: number, keyed = false): Promise<void> {
  const key = (n: number): string | null => (keyed ? `key-${n % KEYS}` : null);
  const messages = (from: number): Message[] =>
    Array.from({ length: ARRAY }, (_, i) => record(new OrderPlaced(from + i, 0), key(from + i)));
  await pump(count / ARRAY, OUTSTANDING / ARRAY, (i) => producer.send({ topic, acks: -1, messages: messages(i * ARRAY) }));
}

async function consumer(prefix: string): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId: `${prefix}bench-raw`, allowAutoTopicCreation: false });
  await consumer.connect();
  await consumer.subscribe({ topic: topicOf(prefix), fromBeginning: true });
  return consumer;
}

/** A message a request, as most services do it. */
export async function kafkaRawPublishEach(prefix: string): Promise<Figures> {
  const producer = await openProducer(prefix);
  const topic = topicOf(prefix);
  const publish = (i: number): Promise<unknown> => producer.send({ topic, acks: -1, messages: [record(new OrderPlaced(i, 0))] });
  await pump(SINGLE_WARM_UP, OUTSTANDING, publish);
  const measured = meter();
  await pump(SINGLE_MESSAGES, OUTSTANDING, publish);
  const figures = measured.stop(SINGLE_MESSAGES);
  await producer.disconnect();
  return figures;
}

/** The best that can be done by hand. */
export async function kafkaRawPublishArrays(prefix: string): Promise<Figures> {
  const producer = await openProducer(prefix);
  await fill(producer, topicOf(prefix), WARM_UP);
  const measured = meter();
  await fill(producer, topicOf(prefix), MESSAGES);
  const figures = measured.stop(MESSAGES);
  await producer.disconnect();
  return figures;
}

export async function kafkaRawDrain(prefix: string): Promise<Figures> {
  const producer = await openProducer(prefix);
  await fill(producer, topicOf(prefix), BACKLOG);
  await producer.disconnect();
  const handled = meterAfter(WARM_UP, MESSAGES);
  const drain = await consumer(prefix);
  const eachBatch = async ({ batch }: EachBatchPayload): Promise<void> => {
    for (const { value } of batch.messages) if (dataOf(value)) handled.hit();
  };
  await drain.run({ partitionsConsumedConcurrently: PARTITIONS, eachBatch });
  const figures = await handled.done;
  await drain.disconnect();
  return figures;
}

function dataOf(value: Buffer | null): OrderPlaced {
  return (JSON.parse(String(value)) as { readonly data: OrderPlaced }).data;
}

/** Handlers of some milliseconds, all partitions at one time. */
export async function kafkaRawKeys(prefix: string): Promise<Figures> {
  const producer = await openProducer(prefix);
  await fill(producer, topicOf(prefix), RAW_KEYED_MESSAGES + OUTSTANDING, true);
  await producer.disconnect();
  const handled = meterAfter(KEYS, RAW_KEYED_MESSAGES);
  const drain = await consumer(prefix);
  await drain.run({
    partitionsConsumedConcurrently: PARTITIONS,
    eachMessage: async ({ message }) => {
      dataOf(message.value);
      await sleep(HANDLER_MS);
      handled.hit();
    },
  });
  const figures = await handled.done;
  await drain.disconnect();
  return figures;
}

export async function kafkaRawLatency(prefix: string): Promise<Figures> {
  const producer = await openProducer(prefix);
  const total = LATENCY_RATE * LATENCY_SECONDS;
  const handled = countdown(total);
  const took: number[] = [];
  const listener = await consumer(prefix);
  const joined = new Promise((resolve) => listener.on(listener.events.GROUP_JOIN, resolve));
  await listener.run({
    eachMessage: async ({ message }) => {
      took.push(performance.now() - dataOf(message.value).sentAtMs);
      handled.hit();
    },
  });
  await joined;
  const topic = topicOf(prefix);
  const publish = (): void => void producer.send({ topic, acks: -1, messages: [record(new OrderPlaced(0, performance.now()))] });
  const measured = meter();
  const sent = await atRate(LATENCY_RATE, LATENCY_SECONDS, publish);
  await handled.done;
  const figures = { ...measured.stop(sent), p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
  await Promise.all([producer.disconnect(), listener.disconnect()]);
  return figures;
}

/** A consumer with nothing to do, with kafkajs's own settings. */
export async function kafkaRawIdle(prefix: string): Promise<Figures> {
  const producer = await openProducer(prefix);
  const idle = await consumer(prefix);
  const joined = new Promise((resolve) => idle.on(idle.events.GROUP_JOIN, resolve));
  await idle.run({ eachMessage: async () => {} });
  await joined;
  await sleep(1_000);
  const measured = meter();
  await sleep(IDLE_SECONDS * 1_000);
  const figures = measured.stop(IDLE_SECONDS);
  const before = performance.now();
  await idle.disconnect();
  const stopMs = performance.now() - before;
  await producer.disconnect();
  return { ...figures, stopMs, cpuPercent: figures.cpuMicrosPerMessage / 10_000 };
}

/** Takes away what a round left in the broker. */
export async function removeAllOfKafka(prefix: string): Promise<void> {
  await withAdmin(async (admin) => {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    await admin.deleteGroups([`${prefix}bench`, `${prefix}bench-raw`]).catch(() => {}); // of some cases there is only one
  });
}
