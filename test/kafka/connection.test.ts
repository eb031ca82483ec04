import { expect, onTestFinished, test, vi } from "vitest";
import type { KafkaDriver } from "../../transports/kafka/client.js";
import { KafkaConnection } from "../../transports/kafka/connection.js";
import { type DriverAdmin, DriverError, type DriverProducer } from "../../transports/kafka/driver.js";
import { resolveOptions } from "../../transports/kafka/options.js";
import { TopicDirectory } from "../../transports/kafka/topic-directory.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { eventually } from "./support/eventually.js";

/** Brokers that are away while `isAway`; how often they were asked is counted. */
class Brokers {
  isAway = false;
  producers = 0;
  tries = 0;
  asked = 0;
  /** Of the producer: whether what it sends is still stored. */
  areProducing = false;
  readonly told: (string | undefined)[] = [];
  readonly connection: KafkaConnection;

  constructor(brokers: readonly string[]) {
    const reach = async (): Promise<void> => {
      this.tries++;
      if (this.isAway) throw new DriverError("unavailable", "connection refused");
    };
    const client = { connect: reach, disconnect: async () => {}, cut: () => {} };
    const ask = async (): Promise<readonly number[]> => {
      this.asked++;
      await reach();
      return [1];
    };
    const driver = {
      admin: () => ({ ...client, brokers: ask, brokerConfig: async () => ({}) }) as unknown as DriverAdmin,
      producer: () => {
        this.producers++;
        const lastAnswered = (): number => (this.areProducing ? performance.now() : 0);
        return Object.defineProperty({ ...client }, "lastAnswered", { get: lastAnswered }) as unknown as DriverProducer;
      },
    } as unknown as KafkaDriver;
    const options = resolveOptions({ brokers });
    this.connection = new KafkaConnection(driver, options, new RecordingLogger(), (downReason) => void this.told.push(downReason));
    onTestFinished(() => this.connection.close(performance.now() + 1_000));
  }

  async ask(): Promise<void> {
    await this.connection.admin((admin) => admin.brokers()).catch(() => {});
  }
}

test("brokers that are away are missed by a publisher that publishes nothing, and it is told when they are back", async () => {
  const brokers = new Brokers(["a:1", "b:1"]);
  await brokers.connection.open(AbortSignal.timeout(5_000));
  expect(brokers.told).toEqual([undefined]);
  brokers.isAway = true;
  await brokers.ask();
  await eventually("the publisher to be down", () => brokers.told.at(-1) !== undefined);
  expect(brokers.connection.producer).toBeUndefined();
  brokers.isAway = false;
  await eventually("the publisher to be up", () => brokers.told.at(-1) === undefined);
});

test("a connection that is lost while the brokers are there costs the publisher nothing", async () => {
  const brokers = new Brokers(["a:1", "b:1"]);
  await brokers.connection.open(AbortSignal.timeout(5_000));
  let hasFailed = false;
  await brokers.connection
    .admin(async () => {
      hasFailed = true;
      throw new DriverError("unavailable", "closed");
    })
    .catch(() => {});
  await brokers.ask();
  expect(hasFailed).toBe(true);
  expect([brokers.producers, brokers.told]).toEqual([1, [undefined]]);
});

test("a producer whose messages are stored is kept while nobody else can connect, as when who checks passwords is away", async () => {
  const brokers = new Brokers(["a:1"]);
  await brokers.connection.open(AbortSignal.timeout(5_000));
  const { producer } = brokers.connection;
  brokers.areProducing = true;
  brokers.isAway = true;
  await brokers.ask();
  const tries = brokers.tries;
  await eventually("the admin to have tried in vain", () => brokers.tries >= tries + 3);
  expect(brokers.connection.producer).toBe(producer);
  expect(brokers.told).toEqual([undefined]);
});

test("brokers are asked every half a minute, also while nothing was published yet", async () => {
  const brokers = new Brokers(["a:1"]);
  await brokers.connection.open(AbortSignal.timeout(5_000));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const directory = new TopicDirectory(brokers.connection, new RecordingLogger());
  await directory.open();
  const before = brokers.asked;
  await vi.advanceTimersByTimeAsync(60_001);
  expect(brokers.asked).toBe(before + 2);
  directory.stop();
});
