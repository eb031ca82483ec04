import { describe, expect, test } from "vitest";
import type { EndpointPlan } from "../../src/contracts/transport.js";
import { Names } from "../../transports/rabbitmq/mapping.js";
import { argumentOf, describe as describeDifference, differenceIn } from "../../transports/rabbitmq/topology-difference.js";
import { topologyOf } from "../../transports/rabbitmq/topology-plan.js";

const endpoint = (more: Partial<EndpointPlan>): EndpointPlan => ({
  name: "shipping",
  subscribed: [],
  unsubscribed: [],
  retryDelaysMs: [],
  order: "none",
  ...more,
});
const atLeastOnceTo = (queue: string): object => ({
  "x-dead-letter-exchange": "",
  "x-dead-letter-routing-key": queue,
  "x-dead-letter-strategy": "at-least-once",
  "x-overflow": "reject-publish",
});

describe("the plan of the topology", () => {
  test("an endpoint is five kinds of quorum queues, what is dead-lettered to coming before what dead-letters", () => {
    const { queues } = topologyOf({ events: [], endpoints: [endpoint({ retryDelaysMs: [10_000, 60_000] })] }, new Names(""));

    expect(queues).toEqual([
      { name: "shipping.dead-letter", arguments: { "x-queue-type": "quorum", "x-delivery-limit": 2_147_483_647 } },
      {
        name: "shipping.suspect",
        arguments: { "x-queue-type": "quorum", "x-delivery-limit": 2_147_483_647, ...atLeastOnceTo("shipping.dead-letter") },
      },
      { name: "shipping.suspect.runs", arguments: { "x-queue-type": "quorum", "x-delivery-limit": 2_147_483_647 } },
      { name: "shipping.retry.10s", arguments: { "x-queue-type": "quorum", "x-message-ttl": 10_000, ...atLeastOnceTo("shipping") } },
      { name: "shipping.retry.1m", arguments: { "x-queue-type": "quorum", "x-message-ttl": 60_000, ...atLeastOnceTo("shipping") } },
      { name: "shipping", arguments: { "x-queue-type": "quorum", "x-delivery-limit": 50, ...atLeastOnceTo("shipping.dead-letter") } },
    ]);
  });

  test("no queue ever expires, since it would go with its messages", () => {
    const { queues } = topologyOf({ events: [], endpoints: [endpoint({ retryDelaysMs: [100] })] }, new Names(""));

    for (const queue of queues) expect(Object.keys(queue.arguments)).not.toContain("x-expires");
  });

  test("an ordered endpoint has one active consumer and no wait queues", () => {
    const { queues } = topologyOf({ events: [], endpoints: [endpoint({ order: "key", retryDelaysMs: [10_000] })] }, new Names(""));

    expect(queues.map(({ name }) => name)).toEqual(["shipping.dead-letter", "shipping.suspect", "shipping.suspect.runs", "shipping"]);
    expect(queues.at(-1)?.arguments).toHaveProperty("x-single-active-consumer", true);
    // What waits behind culprits keeps its place, so it is counted with each of their deaths.
    expect(queues.at(-1)?.arguments).toHaveProperty("x-delivery-limit", 1_000);
  });

  test("types that are published and types that are subscribed to are exchanges, once each, and the subscribed are bound", () => {
    const plan = { events: ["shop.a", "shop.b"], endpoints: [endpoint({ subscribed: ["shop.b", "shop.c"], unsubscribed: ["shop.d"] })] };

    const { exchanges, bindings, unbindings } = topologyOf(plan, new Names(""));

    expect(exchanges).toEqual(["shop.a", "shop.b", "shop.c"]);
    expect(bindings).toEqual([
      { exchange: "shop.b", queue: "shipping" },
      { exchange: "shop.c", queue: "shipping" },
    ]);
    expect(unbindings).toEqual([{ exchange: "shop.d", queue: "shipping" }]);
  });

  test("the prefix stands before every name, also before those that an argument holds", () => {
    const plan = {
      events: ["shop.a"],
      endpoints: [endpoint({ subscribed: ["shop.b"], unsubscribed: ["shop.c"], retryDelaysMs: [1_000] })],
    };

    const topology = topologyOf(plan, new Names("test-"));

    expect(topology.exchanges).toEqual(["test-shop.a", "test-shop.b"]);
    expect(topology.bindings).toEqual([{ exchange: "test-shop.b", queue: "test-shipping" }]);
    expect(topology.unbindings).toEqual([{ exchange: "test-shop.c", queue: "test-shipping" }]);
    expect(topology.queues.every(({ name }) => name.startsWith("test-shipping"))).toBe(true);
    const targets = topology.queues.map((queue) => queue.arguments["x-dead-letter-routing-key"]).filter((key) => key !== undefined);
    expect(targets).toEqual(["test-shipping.dead-letter", "test-shipping", "test-shipping.dead-letter"]);
  });
});

describe("what RabbitMQ says of a difference", () => {
  const refusal = (text: string): { code: number; text: string } => ({ code: 406, text: `PRECONDITION_FAILED - inequivalent arg ${text}` });

  test.each([
    [
      "'x-delivery-limit' for queue 'q' in vhost '/': received '20' but current is '50'",
      { argument: "x-delivery-limit", wanted: "20", found: "50" },
    ],
    [
      "'x-delivery-limit' for queue 'q' in vhost '/': received none but current is the value '50' of type 'byte'",
      { argument: "x-delivery-limit", wanted: undefined, found: "50" },
    ],
    [
      "'x-single-active-consumer' for queue 'q' in vhost '/': received the value 'true' of type 'bool' but current is none",
      { argument: "x-single-active-consumer", wanted: "true", found: undefined },
    ],
    [
      "'type' for exchange 'x' in vhost 'a b': received 'fanout' but current is 'topic'",
      { argument: "type", wanted: "fanout", found: "topic" },
    ],
    [
      "'durable' for queue 'it's' in vhost '/': received 'true' but current is 'false'",
      { argument: "durable", wanted: "true", found: "false" },
    ],
    [
      "'x-dead-letter-exchange' for queue 'q' in vhost '/': received '' but current is 'dlx'",
      { argument: "x-dead-letter-exchange", wanted: "", found: "dlx" },
    ],
  ])("%s", (text, difference) => {
    expect(differenceIn(refusal(text))).toEqual(difference);
  });

  test("other refusals are no difference", () => {
    expect(differenceIn({ code: 406, text: "PRECONDITION_FAILED - unknown delivery tag 7" })).toBeUndefined();
    expect(differenceIn({ code: 404, text: "NOT_FOUND - no queue 'q' in vhost '/'" })).toBeUndefined();
  });

  test("a found value becomes an argument of the wanted one's type", () => {
    expect(argumentOf("50", 20)).toBe(50);
    expect(argumentOf("true", false)).toBe(true);
    expect(argumentOf("50", "text")).toBe("50");
    expect(argumentOf("50", undefined)).toBe(50);
    expect(argumentOf("true", undefined)).toBe(true);
    expect(argumentOf("lazy", undefined)).toBe("lazy");
  });

  test("it is told with both values", () => {
    expect(describeDifference({ argument: "x-delivery-limit", wanted: "50", found: "20" })).toBe(
      'x-delivery-limit is "20" and should be "50"',
    );
    expect(describeDifference({ argument: "x-expires", wanted: undefined, found: "1" })).toBe('x-expires is "1" and should not be set');
    expect(describeDifference({ argument: "x-overflow", wanted: "reject-publish", found: undefined })).toBe(
      'x-overflow is not set and should be "reject-publish"',
    );
  });
});
