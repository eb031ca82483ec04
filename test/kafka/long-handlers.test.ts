import { randomBytes } from "node:crypto";
import { beforeAll, describe, type TestContext, test } from "vitest";
import { type Bus, createBus } from "../../src/index.js";
import { kafka } from "../../transports/kafka/index.js";
import { describeWithKafka } from "../support/brokers.js";
import { deleteKafkaTopology } from "../support/delete-kafka-topology.js";
import { RecordingLogger } from "../support/recording-logger.js";
import { compileMortalService, MortalService } from "./mortal-service/index.js";
import { Placed } from "./mortal-service/options.js";
import { eventually } from "./support/eventually.js";

/** At their full length, which is what the promises name: the tests of all brokers run at the same time, and mostly wait. */
const BEHIND = 5_000;
const OUTSTANDING = 500;
const SLOW_MS = 60_000;
/** Shortly before it would have ended. */
const KILLED_AFTER_MS = 57_000;
const LONGER_THAN_SESSIONS_MS = 45_000;
const TEST_TIMEOUT_MS = 180_000;
const DEADLINE_MS = 100_000;

beforeAll(compileMortalService, 60_000);

describe.concurrent("long handlers", () => {
  describeWithKafka("of one partition", ({ brokers }) => {
    /** A bus and names of its own, which are taken away when the test ends. */
    function newPrefix({ onTestFinished }: TestContext): string {
      const namePrefix = `t${randomBytes(4).toString("hex")}.`;
      const left = { namePrefix, endpoints: ["shipping"], messageTypes: [Placed.messageType], retryDelays: [] } as const;
      onTestFinished(() => deleteKafkaTopology(brokers)(left), 30_000);
      return namePrefix;
    }

    function makeBus({ onTestFinished }: TestContext, namePrefix: string): Bus {
      const transport = kafka({ brokers, partitions: 1, sessionTimeout: "10s" });
      const bus = createBus({ service: "shipping", transport, namePrefix, retry: false, logger: new RecordingLogger() });
      onTestFinished(() => bus.stop({ deadline: "5s" }), 30_000);
      return bus;
    }

    async function publish(bus: Bus, from: number, count: number): Promise<void> {
      for (let n = from; n < from + count; n += OUTSTANDING) {
        await Promise.all(Array.from({ length: Math.min(OUTSTANDING, from + count - n) }, (_, i) => bus.publish(new Placed(n + i))));
      }
    }

    test(`${BEHIND} records behind a handler of ${SLOW_MS / 1000} s are handled meanwhile; killed then, at most prefetch of them run again`, {
      timeout: TEST_TIMEOUT_MS,
    }, async (context) => {
      const { expect, onTestFinished } = context;
      const namePrefix = newPrefix(context);
      const prefetch = 50;
      const service = new MortalService({ brokers, namePrefix, concurrency: 10, prefetch, slowMs: SLOW_MS });
      onTestFinished(() => service.kill());
      await service.started();
      const bus = makeBus(context, namePrefix);
      await publish(bus, 0, 1);
      await eventually("the slow one to begin", () => service.begun.includes(0), DEADLINE_MS);
      const begun = performance.now();
      await publish(bus, 1, BEHIND);
      await eventually("all behind it to be handled", () => service.begun.length === BEHIND + 1, KILLED_AFTER_MS);
      await eventually("it to have run for long", () => performance.now() - begun > KILLED_AFTER_MS, DEADLINE_MS);
      expect(new Set(service.begun).size).toBe(BEHIND + 1);
      await service.kill();

      const again: number[] = [];
      const other = makeBus(context, namePrefix);
      other.endpoint("shipping", { concurrency: 10, prefetch }).subscribe(Placed, ({ n }) => void again.push(n));
      await other.start();
      await eventually("the slow one to come again", () => again.includes(0), DEADLINE_MS);
      await publish(bus, BEHIND + 1, 1);
      await eventually("what is new to come", () => again.includes(BEHIND + 1), DEADLINE_MS);
      const repeated = again.filter((n) => n !== 0 && n <= BEHIND);
      expect(repeated.length).toBeLessThanOrEqual(prefetch);
      expect(again.filter((n) => n === 0)).toEqual([0]);
    });

    test(`a handler of ${LONGER_THAN_SESSIONS_MS / 1000} s with a session of 10 s runs once`, {
      timeout: TEST_TIMEOUT_MS,
    }, async (context) => {
      const { expect } = context;
      const bus = makeBus(context, newPrefix(context));
      const runs: number[] = [];
      const ended: number[] = [];
      bus.endpoint("shipping").subscribe(Placed, async ({ n }) => {
        runs.push(n);
        if (n === 0) await new Promise((resolve) => setTimeout(resolve, LONGER_THAN_SESSIONS_MS));
        ended.push(n);
      });
      await bus.start();

      await publish(bus, 0, 3);
      await eventually("all to end", () => ended.length === 3, DEADLINE_MS);
      await publish(bus, 3, 1);
      await eventually("the next to end", () => ended.length === 4, DEADLINE_MS);

      expect(runs.toSorted()).toEqual([0, 1, 2, 3]);
      expect(bus.health().endpoints[0]?.counts.handled).toBe(4);
    });
  });
});
