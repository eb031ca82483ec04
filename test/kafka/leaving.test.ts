import { Kafka, logLevel } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { settledBy } from "../../src/util/time-limit.js";
import { type KafkaDriver, loadDriver } from "../../transports/kafka/client.js";
import type { ConsumerSettings, DriverConsumer } from "../../transports/kafka/driver-consumer.js";
import { resolveOptions } from "../../transports/kafka/options.js";
import { describeWithKafka } from "../support/brokers.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { eventually } from "./support/eventually.js";
import { Bench } from "./support/port.js";

/** Of the member that dies: far longer than the others take to leave. */
const SESSION_MS = 30_000;
const LEAVING_MS = 5_000;

describeWithKafka("members that leave their group", ({ brokers }) => {
  const logger = new RecordingLogger();

  function settingsFor(groupId: string, topic: string): ConsumerSettings {
    return {
      groupId,
      topics: [topic],
      types: new Map(),
      rests: new Map(),
      sessionTimeoutMs: SESSION_MS,
      heartbeatIntervalMs: 200,
      rebalanceTimeoutMs: SESSION_MS,
      maxWaitMs: 100,
      maxBytesPerPartition: 1_024,
      maxBytes: 1_024,
      metadataMaxAgeMs: 30_000,
      passesUndecodable: false,
      assign: async (members) => new Map(members.map(({ memberId }, i) => [memberId, new Map([[topic, i === 0 ? [0] : []]])])),
    };
  }

  class Member {
    joins = 0;
    rebalances = 0;
    readonly consumer: DriverConsumer;

    constructor(driver: KafkaDriver, settings: ConsumerSettings) {
      this.consumer = driver.consumer(settings);
      onTestFinished(() => this.consumer.cut());
      const handlers = {
        joined: () => void this.joins++,
        rebalancing: () => void this.rebalances++,
        batch: () => undefined,
        passed: () => {},
        ended: () => {},
      };
      this.consumer.start(handlers).catch(() => {});
    }
  }

  test("while it waits for one that died are gone from it at once: nobody who stays has to wait for them too", async () => {
    const bench = new Bench(brokers);
    await bench.makeTopic("things");
    const settings = settingsFor(`${bench.namePrefix}group`, `${bench.namePrefix}things`);
    const admin = new Kafka({ brokers: [...resolveOptions({ brokers }).brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    onTestFinished(() => admin.disconnect());
    const members = async (): Promise<readonly string[]> => {
      const { groups } = await admin.describeGroups([settings.groupId]);
      return groups.flatMap((group) => group.members.map(({ memberId }) => memberId));
    };
    const driver = await loadDriver(resolveOptions({ brokers }), "tests", logger);

    const mortal = new Member(driver, settings);
    await eventually("the first to join", () => mortal.joins === 1);
    const [dead] = await members();
    const old = new Member(driver, settings);
    await eventually("the second to join", () => old.joins === 1 && mortal.joins === 2);
    mortal.consumer.cut();
    const young = new Member(driver, settings);
    await eventually("all to wait for the dead one", async () => old.rebalances > 0 && (await members()).length === 3);
    expect([old.joins, young.joins]).toEqual([1, 0]);

    await settledBy(performance.now() + LEAVING_MS, Promise.all([old.consumer.stop(), young.consumer.stop()]));
    expect(await members()).toEqual([dead]);
  });
});
