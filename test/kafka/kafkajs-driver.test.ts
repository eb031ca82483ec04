import kafkajs, { type Producer } from "kafkajs";
import { describe, expect, onTestFinished, test } from "vitest";
import { settledBy } from "../../src/util/time-limit.js";
import { loadDriver } from "../../transports/kafka/client.js";
import { DriverError } from "../../transports/kafka/driver.js";
import type { ConsumerSettings } from "../../transports/kafka/driver-consumer.js";
import { KafkajsAdmin } from "../../transports/kafka/kafkajs-admin.js";
import { type KafkajsHome, type KafkajsModule, kafkajsHome } from "../../transports/kafka/kafkajs-home.js";
import { KafkajsProducer } from "../../transports/kafka/kafkajs-producer.js";
import { resolveOptions } from "../../transports/kafka/options.js";
import { describeWithKafka } from "../support/brokers.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { eventually } from "./support/eventually.js";
import { Bench } from "./support/port.js";

const module = kafkajs as unknown as KafkajsModule;

describeWithKafka("the driver over kafkajs", ({ brokers }) => {
  const options = resolveOptions({ brokers });
  const logger = new RecordingLogger();

  test("has one client of the admin made anew when two calls meet a missing topic at once, and none when it is closed", async () => {
    const homes: KafkajsHome[] = [];
    const admin = new KafkajsAdmin(() => {
      const home = kafkajsHome(module, options, "tests", logger);
      homes.push(home);
      return home;
    });
    await admin.connect();
    const missing = (name: string) => admin.offsets(name, "latest").catch((error: DriverError) => error.kind);
    expect(await Promise.all([missing("no-such-topic"), missing("nor-this-one")])).toEqual(["no-topic", "no-topic"]);
    expect(homes).toHaveLength(2);

    const late = missing("no-such-topic");
    await admin.disconnect();
    await late;
    expect(homes).toHaveLength(2);
  });

  test("a member that leads its group and cannot share out the partitions is at its end at once: the group does not wait for it", async () => {
    const bench = new Bench(brokers);
    await bench.makeTopic("things");
    const topic = `${bench.namePrefix}things`;
    const settings: ConsumerSettings = {
      groupId: `${bench.namePrefix}group`,
      topics: [topic],
      types: new Map(),
      rests: new Map(),
      sessionTimeoutMs: 10_000,
      heartbeatIntervalMs: 500,
      rebalanceTimeoutMs: 2_000,
      maxWaitMs: 100,
      maxBytesPerPartition: 1_024,
      maxBytes: 1_024,
      metadataMaxAgeMs: 30_000,
      passesUndecodable: false,
      assign: async (members) => {
        if (isBroken) throw new DriverError("unavailable", "no leader", { type: "LEADER_NOT_AVAILABLE" });
        return new Map(members.map(({ memberId }, i) => [memberId, new Map([[topic, i === 0 ? [0] : []]])]));
      },
    };
    let isBroken = false;
    let joined = 0;
    const ended: DriverError[] = [];
    const driver = await loadDriver(options, "tests", logger);
    const member = () => {
      const consumer = driver.consumer(settings);
      onTestFinished(async () => {
        await settledBy(performance.now() + 2_000, consumer.stop());
        consumer.cut();
      });
      const handlers = {
        joined: () => void joined++,
        rebalancing: () => {},
        batch: () => undefined,
        passed: () => {},
        ended: (error: DriverError) => void ended.push(error),
      };
      consumer.start(handlers).catch((error: DriverError) => ended.push(error));
    };
    member();
    await eventually("the first to join", () => joined === 1);
    isBroken = true;
    member();
    await eventually("the one that leads to end", () => ended.length > 0, 10_000);
    expect(ended[0]).toMatchObject({ kind: "unavailable", type: "LEADER_NOT_AVAILABLE" });
  });
});

describe("what kafkajs rejects a request with", () => {
  const { KafkaJSNonRetriableError, KafkaJSProtocolError } = kafkajs;
  const denied = new KafkaJSProtocolError(
    Object.assign(new Error("Not authorized to access topics"), { type: "TOPIC_AUTHORIZATION_FAILED", code: 29, retriable: false }),
  );

  async function producing(rejection: Error): Promise<unknown> {
    const producer: Partial<Producer> = { sendBatch: () => Promise.reject(rejection) };
    const options = resolveOptions({ brokers: "localhost:9092" });
    const home = { ...kafkajsHome(module, options, "tests", new RecordingLogger()), kafka: { producer: () => producer } };
    const batch = { topic: "a", partition: 0, records: [{ key: null, value: Buffer.from("x"), headers: {} }], isOversized: false };
    return await new KafkajsProducer(home as unknown as KafkajsHome).produce([batch], 10_000).catch((error: unknown) => error);
  }

  test("a refused right is the broker's answer to the records when it comes as it is", async () => {
    expect(await producing(denied)).toMatchObject({ kind: "forbidden" });
  });

  test("a refused right says nothing of the records when kafkajs met it afterwards, looking for the leaders again", async () => {
    expect(await producing(Object.assign(new KafkaJSNonRetriableError(denied), { cause: denied }))).toMatchObject({ kind: "unavailable" });
  });
});
