import { expect } from "vitest";
import type { OutgoingMessage, SendResult } from "../../../src/contracts/transport.js";
import type { KafkaOptions } from "../../../transports/kafka/index.js";
import { eventually } from "./eventually.js";
import { Bench, message, type Port } from "./port.js";

const THING = { event: "test.thing" };

export type Trouble = (port: Port, publisher: Publisher, bench: Bench) => Promise<void>;

/** Sends numbered messages again and again until each is sent, as the core does; several keys, each in its order. */
export class Publisher {
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

/** Publishes while `trouble` happens; afterwards everything acknowledged must be there, the first copies of each key in their order. */
export async function publishThrough(
  brokers: readonly string[],
  options: Partial<KafkaOptions>,
  trouble: Trouble,
): Promise<{ port: Port; publisher: Publisher }> {
  const bench = new Bench(brokers);
  const port = await bench.port(options);
  await port.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");
  const publisher = new Publisher(port).start();
  await eventually("some messages", () => publisher.acknowledged.length > 100);

  await trouble(port, publisher, bench);

  const before = publisher.acknowledged.length;
  await eventually("messages to be sent again", () => publisher.acknowledged.length > before + 100, 60_000);
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
