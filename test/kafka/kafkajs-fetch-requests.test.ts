import { createRequire } from "node:module";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fetchIdOf, withoutResting } from "../../transports/kafka/kafkajs-fetch-requests.js";
import { RestingTopics } from "../../transports/kafka/resting-topics.js";

interface Topic {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
}
type Request = object;
const require = createRequire(import.meta.url);
const requestOf = (version: number) =>
  require(`kafkajs/src/protocol/requests/fetch/v${version}/request.js`) as (options: object) => Request;
const encode = require("kafkajs/src/protocol/request.js") as (parts: {
  correlationId: number;
  clientId: string;
  request: Request;
}) => Promise<{ readonly buffer: Buffer }>;

const RETRY = "shop.retry.10s";
const EVENTS: Topic = topicOf("shop.order-placed", 6);
const ENDPOINT: Topic = topicOf("shop", 2);
const REST_MS = 1_000;

function topicOf(topic: string, count: number): Topic {
  return {
    topic,
    partitions: Array.from({ length: count }, (_, partition) => ({ partition, fetchOffset: String(17 * partition), maxBytes: 1_024 })),
  };
}

async function written(topics: readonly Topic[], version = 11): Promise<Buffer> {
  const request = requestOf(version)({ replicaId: -1, maxWaitTime: 250, minBytes: 1, maxBytes: 65_536, topics });
  return (await encode({ correlationId: 77, clientId: "schiff-ü", request })).buffer;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a topic that rests is left out, and the request is the one that kafkajs would write without it", async () => {
  const resting = new RestingTopics(new Map([[RETRY, REST_MS]]));
  const topics = [EVENTS, topicOf(RETRY, 3), ENDPOINT];
  const first = await written(topics);
  expect(withoutResting(Buffer.from(first), resting).equals(first)).toBe(true);
  vi.advanceTimersByTime(REST_MS - 1);
  expect(withoutResting(Buffer.from(first), resting).equals(await written([EVENTS, ENDPOINT]))).toBe(true);
  // What is left out is not asked for, so its rest gets no longer.
  vi.advanceTimersByTime(1);
  expect(withoutResting(Buffer.from(first), resting).equals(first)).toBe(true);
});

test("several topics rest, each for its own time, wherever they stand in the request", async () => {
  const resting = new RestingTopics(
    new Map([
      ["a", 100],
      ["b", 200],
    ]),
  );
  const all = await written([topicOf("a", 1), EVENTS, topicOf("b", 4), topicOf("c", 1)]);
  const asked = () => withoutResting(Buffer.from(all), resting);
  expect(asked().equals(all)).toBe(true);
  expect(asked().equals(await written([EVENTS, topicOf("c", 1)]))).toBe(true);
  vi.advanceTimersByTime(150);
  expect(asked().equals(await written([topicOf("a", 1), EVENTS, topicOf("c", 1)]))).toBe(true);
});

test("a topic that brought something is asked for again at once", async () => {
  const resting = new RestingTopics(new Map([[RETRY, REST_MS]]));
  const all = await written([EVENTS, topicOf(RETRY, 3)]);
  withoutResting(Buffer.from(all), resting);
  resting.brought(RETRY);
  expect(withoutResting(Buffer.from(all), resting).equals(all)).toBe(true);
});

test("a request that would ask for nothing stays whole: a broker would answer it at once, again and again", async () => {
  const resting = new RestingTopics(new Map([[RETRY, REST_MS]]));
  const only = await written([topicOf(RETRY, 3)]);
  withoutResting(Buffer.from(only), resting);
  expect(withoutResting(Buffer.from(only), resting).equals(only)).toBe(true);
});

test("only requests for records that are laid out as expected are looked at", async () => {
  expect(fetchIdOf(await written([EVENTS]))).toBe(77);
  expect(fetchIdOf(await written([EVENTS], 10))).toBeUndefined();
  expect(fetchIdOf(Buffer.alloc(8))).toBeUndefined();
  expect(fetchIdOf(Buffer.concat([await written([EVENTS]).then((bytes) => bytes.fill(3, 4, 6))]))).toBeUndefined();
});
