import { EventEmitter } from "node:events";
import type { EachBatchHandler, EachBatchPayload } from "kafkajs";
import * as kafkajsModule from "kafkajs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ConsumerSettings } from "../../transports/kafka/driver-consumer.js";
import { KafkajsConsumer } from "../../transports/kafka/kafkajs-consumer.js";
import type { KafkajsHome } from "../../transports/kafka/kafkajs-home.js";

const SESSION_MS = 6_000;

/** What kafkajs tells of a consumer, step by step: no broker can be made to come back at will with a generation that it had given up. */
class ScriptedKafkajs extends EventEmitter {
  readonly events = {
    GROUP_JOIN: "group_join",
    REBALANCING: "rebalancing",
    HEARTBEAT: "heartbeat",
    FETCH_START: "fetch_start",
    FETCH: "fetch",
    START_BATCH_PROCESS: "start_batch_process",
    COMMIT_OFFSETS: "commit_offsets",
    CRASH: "crash",
  };
  async connect(): Promise<void> {}
  async subscribe(): Promise<void> {}
  #eachBatch: EachBatchHandler | undefined;
  async run({ eachBatch }: { eachBatch?: EachBatchHandler }): Promise<void> {
    this.#eachBatch = eachBatch;
  }
  async disconnect(): Promise<void> {}
  /** Repeated by kafkajs, for as long as the broker refuses it. */
  commitOffsets = (): Promise<void> => new Promise(() => {});

  joins(): void {
    this.emit("group_join", { payload: { memberAssignment: { orders: [0] } } });
  }

  fetches(nodeId = 1): void {
    this.asks(nodeId);
    this.answers(nodeId);
  }

  asks(nodeId: number): void {
    this.emit("fetch_start", { payload: { nodeId } });
  }

  answers(nodeId: number): void {
    this.emit("fetch", { payload: { nodeId } });
  }

  /** A batch of what was answered last. */
  async brings(partition: number): Promise<void> {
    await this.#eachBatch?.({ batch: { topic: "orders", partition, messages: [] } } as unknown as EachBatchPayload);
  }
}

interface Member {
  readonly kafkajs: ScriptedKafkajs;
  readonly ended: string[];
  /** What was handed over, as `partition of broker`. */
  readonly batches: string[];
  readonly consumer: KafkajsConsumer;
}

async function member(): Promise<Member> {
  const kafkajs = new ScriptedKafkajs();
  const ended: string[] = [];
  const batches: string[] = [];
  const membership = { memberId: undefined, isJoining: false };
  const home = { module: kafkajsModule, kafka: { consumer: () => kafkajs }, membership, cut: () => {} } as unknown as KafkajsHome;
  const settings = {
    groupId: "shipping",
    topics: ["orders"],
    types: new Map(),
    rests: new Map(),
    sessionTimeoutMs: SESSION_MS,
  } as unknown as ConsumerSettings;
  const consumer = new KafkajsConsumer(home, settings, async () => {});
  await consumer.start({
    joined: () => {},
    rebalancing: () => {},
    batch: ({ partition, broker }) => void batches.push(`${partition} of ${broker}`),
    passed: () => {},
    ended: (error) => void ended.push(error.message),
  });
  kafkajs.joins();
  kafkajs.fetches();
  return { kafkajs, ended, batches, consumer };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a member that joins anew after a rebalance goes on", async () => {
  const { ended, kafkajs } = await member();
  kafkajs.emit("rebalancing", {});
  kafkajs.joins();
  kafkajs.fetches();

  expect(ended).toEqual([]);
});

test("a member that fetches on after a rebalance, without having joined, is ended, for nothing would be handed over any more", async () => {
  const { ended, kafkajs } = await member();
  kafkajs.emit("rebalancing", {});
  kafkajs.fetches();

  expect(ended[0]).toContain("without joining");
});

test("a member whose heartbeats are answered goes on, however long nothing else happens", async () => {
  const { ended, kafkajs } = await member();
  for (let i = 0; i < 20; i++) {
    vi.advanceTimersByTime(SESSION_MS / 2);
    kafkajs.emit("heartbeat", {});
    kafkajs.fetches();
  }

  expect(ended).toEqual([]);
});

test("a member that fetches for three sessions without a heartbeat is ended, for the group has forgotten it", async () => {
  const { ended, kafkajs } = await member();
  vi.advanceTimersByTime(3 * SESSION_MS - 1);
  kafkajs.fetches();
  expect(ended).toEqual([]);

  vi.advanceTimersByTime(2);
  kafkajs.fetches();
  expect(ended[0]).toContain("no heartbeat");
});

test("a member whose first commit is still being repeated when the partitions are shared out anew is ended, for they may be another's", async () => {
  const { ended, kafkajs, consumer } = await member();
  void consumer.commit([{ topic: "orders", partition: 0, offset: 7, metadata: "" }]).catch(() => {});
  expect(ended).toEqual([]);

  kafkajs.emit("rebalancing", {});
  kafkajs.joins();
  expect(ended[0]).toContain("repeats a commit");
});

test("a batch says from which broker it was fetched, though several are asked at one time", async () => {
  const { batches, kafkajs } = await member();
  kafkajs.asks(1);
  kafkajs.asks(2);
  kafkajs.answers(2);
  await kafkajs.brings(0);
  await kafkajs.brings(3);
  kafkajs.answers(1);
  await kafkajs.brings(1);
  expect(batches).toEqual(["0 of 2", "3 of 2", "1 of 1"]);
});

test("a broker that does not answer is no sign of life, although another one answers", async () => {
  const { kafkajs, consumer } = await member();
  kafkajs.asks(2);
  const asked = performance.now();
  for (let i = 0; i < 5; i++) {
    vi.advanceTimersByTime(1_000);
    kafkajs.fetches(1);
    await Promise.resolve();
  }
  expect(consumer.lastSignOfLife).toBe(asked);

  kafkajs.answers(2);
  expect(consumer.lastSignOfLife).toBe(performance.now());
});

test("a broker that is gone is not waited for once the fetches have begun anew without it", async () => {
  const { kafkajs, consumer } = await member();
  kafkajs.asks(1);
  kafkajs.asks(2);
  kafkajs.asks(3);
  await Promise.resolve();
  kafkajs.answers(1);
  kafkajs.answers(2);
  vi.advanceTimersByTime(5_000);
  kafkajs.asks(1);
  kafkajs.asks(2);
  await Promise.resolve();
  vi.advanceTimersByTime(100);
  kafkajs.fetches(1);
  await Promise.resolve();
  kafkajs.fetches(2);
  await Promise.resolve();

  expect(performance.now() - consumer.lastSignOfLife).toBe(0);
});
