import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isInstalled, KAFKA_4 } from "../../scripts/brokers.d/support/kafka-programs.mjs";
import { brokerScripts, type KafkaNode } from "../faults/transports/kafka-control.js";
import { eventually } from "./support/eventually.js";
import { Bench, message } from "./support/port.js";
import { publishThrough, type Trouble } from "./support/publisher.js";

/** A broker of its own, since it is killed and frozen. */
const PORT = 19_298;
const THING = { event: "test.thing" };

describe.skipIf(!isInstalled(KAFKA_4))("a broker in trouble", () => {
  let broker: KafkaNode;

  beforeAll(async () => {
    const settings = { "broker.session.timeout.ms": 1_500, "broker.heartbeat.interval.ms": 300 };
    broker = (await brokerScripts()).kafkaControl({ name: "kafka-trouble", port: PORT, detours: [], settings });
    await broker.start();
  }, 120_000);
  afterAll(async () => {
    await broker.stop();
    broker.deleteData();
  }, 60_000);

  const comesThrough = (trouble: Trouble) =>
    publishThrough([broker.address], { partitions: 4, requestTimeout: "2s", connectTimeout: "2s" }, trouble);

  test("killed and started again: the transport says so, comes back, and has lost nothing that it confirmed", async () => {
    const { port } = await comesThrough(async (port) => {
      await broker.kill();
      await eventually("the transport to say that it is down", () => port.statusOf("publisher")?.status === "down");
      const [refused] = await port.send(message(THING, "now"));
      expect(refused).toMatchObject({ outcome: "refused", error: { code: "unavailable", retryable: true } });
      await broker.start();
    });
    expect(port.log.filter((line) => line.includes("is back"))).not.toEqual([]);
  }, 120_000);

  test("frozen: what was under way is in doubt, nothing hangs, and nothing that was confirmed is lost", async () => {
    const { publisher } = await comesThrough(async (_, publisher) => {
      broker.freeze();
      await eventually("messages to be in doubt", () => (publisher.outcomes.get("unknown") ?? 0) > 0, 20_000);
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      broker.thaw();
    });
    expect(publisher.outcomes.get("unknown")).toBeGreaterThan(0);
  }, 120_000);

  test("restarted politely in the middle of many outstanding messages: each is answered", async () => {
    const bench = new Bench([broker.address]);
    const port = await bench.port({ partitions: 4, requestTimeout: "2s" });
    await port.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");
    const calls = Array.from({ length: 200 }, (_, i) => port.send(...Array.from({ length: 20 }, (__, n) => message(THING, `${i}-${n}`))));
    const restarted = broker.stop().then(() => broker.start());
    const results = (await Promise.all(calls)).flat();
    await restarted;
    expect(results).toHaveLength(4_000);
    const stored = new Set((await bench.stored("test.thing")).map(({ value }) => value));
    const lost = results.filter(({ outcome }, i) => outcome === "sent" && !stored.has(`${Math.floor(i / 20)}-${i % 20}`));
    expect(lost).toEqual([]);
  }, 120_000);
});
