import { randomBytes } from "node:crypto";
import { Kafka, logLevel } from "kafkajs";
import { afterEach, expect, test } from "vitest";
import { type Bus, createBus } from "../../src/index.js";
import { kafka } from "../../transports/kafka/index.js";
import { describeWithKafka } from "../support/brokers.js";
import { deleteKafkaTopology } from "../support/delete-kafka-topology.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { eventually } from "./support/eventually.js";

const PARTITIONS = 6;
const RECORDS = 60;

class Placed {
  static readonly messageType = "orders.placed";
  constructor(readonly n: number) {}
}

describeWithKafka("commits that are older than the log", ({ brokers }) => {
  const namePrefix = `t${randomBytes(4).toString("hex")}.`;
  const buses: Bus[] = [];
  const seen: number[] = [];
  afterEach(async () => {
    await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: "2s" })));
    await deleteKafkaTopology(brokers)({ namePrefix, endpoints: ["shipping"], messageTypes: [Placed.messageType], retryDelays: [] });
  });

  async function listen(): Promise<Bus> {
    const transport = kafka({ brokers, partitions: PARTITIONS });
    const bus = createBus({ service: "shipping", transport, namePrefix, retry: false, logger: new RecordingLogger() });
    buses.push(bus);
    bus.subscribe(Placed, ({ n }) => void seen.push(n));
    await bus.start();
    return bus;
  }

  /** As retention leaves it when a service was stopped for too long: the log begins after what the group has committed. */
  async function forget(): Promise<void> {
    const admin = new Kafka({ clientId: "tests", brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
    const topic = namePrefix + Placed.messageType;
    await admin.connect();
    const ends = (await admin.fetchTopicOffsets(topic)).filter(({ high }) => Number(high) > 0);
    await admin.deleteTopicRecords({ topic, partitions: ends.map(({ partition, high }) => ({ partition, offset: high })) });
    const partitions = ends.map(({ partition, high }) => ({ partition, offset: String(Math.max(0, Number(high) - 3)) }));
    await admin.setOffsets({ groupId: `${namePrefix}shipping`, topic, partitions });
    await admin.disconnect();
  }

  test("all instances start, go on at the beginning of the log, and handle what is published from then on", async () => {
    const before = await listen();
    await Promise.all(Array.from({ length: RECORDS }, (_, n) => before.publish(new Placed(n))));
    await eventually("all to be handled", () => seen.length === RECORDS);
    await before.stop();
    await forget();

    const [first] = await Promise.all([listen(), listen(), listen()]);
    await Promise.all(Array.from({ length: RECORDS }, (_, n) => first.publish(new Placed(RECORDS + n))));

    await eventually("the new ones to be handled", () => seen.length === 2 * RECORDS);
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2 * RECORDS }, (_, n) => n));
  });
});
