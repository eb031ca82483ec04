import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isInstalled, KAFKA_4 } from "../../scripts/brokers.d/support/kafka-programs.mjs";
import type { OutgoingMessage, SendResult } from "../../src/contracts/transport.js";
import { brokerScripts, type KafkaNode } from "../faults/transports/kafka-control.js";
import { eventually } from "./support/eventually.js";
import { Bench, message, type Port } from "./support/port.js";

/** A broker of its own, since it is killed and frozen. */
const PORT = 19_298;
const THING = { event: "test.thing" };

/** Sends numbered messages again and again until each is sent, as the core does; several keys, each in its order. */
class Publisher {
  readonly acknowledged: string[] = [];
  readonly outcomes = new Map<SendResult["outcome"], number>();
  readonly #port: Port;
  #isStopping = false;
  readonly #runs: Promise<void>[] = [];

  constructor(port: Port) {
    this.#port = port;
  }

  start(): this {
    for (let key = 0; key < 8; key++) this.#runs.push(this.#publish(`k${key}`));
    return this;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#runs);
  }

  async #publish(partitionKey: string): Promise<void> {
    for (let next = 0; !this.#isStopping; ) {
      let waiting: readonly OutgoingMessage[] = Array.from({ length: 10 }, () =>
        message(THING, `${partitionKey}:${next++}`, { partitionKey }),
      );
      while (waiting.length > 0) {
        const results = await this.#port.transport.send(waiting, AbortSignal.timeout(10_000));
        for (const { outcome } of results) this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
        this.acknowledged.push(...waiting.filter((_, i) => results[i]?.outcome === "sent").map(({ body }) => Buffer.from(body).toString()));
        waiting = waiting.filter((_, i) => results[i]?.outcome !== "sent");
        await new Promise((resolve) => setTimeout(resolve, waiting.length > 0 ? 50 : 1));
      }
    }
  }
}

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

  /** Publishes while `trouble` happens; afterwards everything acknowledged must be there, the first copies of each key in their order. */
  async function comesThrough(trouble: (port: Port, publisher: Publisher) => Promise<void>): Promise<{ port: Port; publisher: Publisher }> {
    const bench = new Bench([broker.address]);
    const port = await bench.port({ partitions: 4, requestTimeout: "2s", connectTimeout: "2s" });
    await port.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");
    const publisher = new Publisher(port).start();
    await eventually("some messages", () => publisher.acknowledged.length > 100);

    await trouble(port, publisher);

    const before = publisher.acknowledged.length;
    await eventually("messages to be sent again", () => publisher.acknowledged.length > before + 100, 30_000);
    await publisher.stop();
    expect(port.statusOf("publisher")?.status).toBe("up");
    const stored = (await bench.stored("test.thing")).map(({ value }) => value ?? "");
    const found = new Set(stored);
    expect(publisher.acknowledged.filter((text) => !found.has(text))).toEqual([]);
    for (let key = 0; key < 8; key++) {
      const numbers = [...found].filter((text) => text.startsWith(`k${key}:`)).map((text) => Number(text.split(":")[1]));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
    return { port, publisher };
  }

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
