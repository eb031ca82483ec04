import { describe, expect, test } from "vitest";
import { mistakeInEndpointName, mistakeInHeaderName, mistakeInMessageType, mistakeInNamePrefix } from "../../../src/util/names.js";

describe("message types", () => {
  test.each([
    "a",
    "shop.order-placed",
    "Shop.OrderPlaced.v2",
    "0",
    "a..b",
    "x".repeat(200),
    "retrying",
    "my-retry",
    "dead-letters.seen",
    "amqp",
  ])("%j is a message type", (name) => {
    expect(mistakeInMessageType(name)).toBeUndefined();
  });

  test.each([
    ["", "empty"],
    ["x".repeat(201), "201 characters"],
    ["shop.order_placed", "Kafka"],
    ["shop/order", '"/"'],
    ["größe", '"ö"'],
    ["shop order", '" "'],
    ["a\nb", '"\\n"'],
    [".shop", "start with"],
    ["-shop", "start with"],
    ["shop.", "end with"],
    ["shop-", "end with"],
    ["amq.topic", "RabbitMQ"],
    ["AMQ.topic", "RabbitMQ"],
    ["shop.retry.done", '"retry"'],
    ["retry", '"retry"'],
    ["shop.Suspect", '"suspect"'],
    ["dead-letter.shop", '"dead-letter"'],
    [undefined, "undefined, not text"],
    [null, "null, not text"],
    [7, "number, not text"],
  ])("%j is none, and the sentence says why", (name, why) => {
    const mistake = mistakeInMessageType(name);
    expect(mistake).toContain(why);
    expect(mistake).toMatch(/^The message type .*\.$/);
  });

  test("a very long name is cut in the sentence", () => {
    expect(mistakeInMessageType("x".repeat(1_000_000))?.length).toBeLessThan(400);
  });
});

describe("endpoint names", () => {
  test.each(["shipping", "shipping-audit", "shop.shipping.v2", "1", "e".repeat(50)])("%j is an endpoint name", (name) => {
    expect(mistakeInEndpointName(name)).toBeUndefined();
  });

  test.each([
    "",
    "e".repeat(51),
    "Shipping",
    "ship_ping",
    "shipping.",
    "-shipping",
    "amq.shipping",
    "shipping.retry",
    "shipping.suspect.x",
    "shipping.dead-letter",
    "ship ping",
  ])("%j is none", (name) => {
    expect(mistakeInEndpointName(name)).toMatch(/^The endpoint name .*\.$/);
  });
});

describe("name prefixes", () => {
  test.each(["", "staging.", "tenant-1-", "p".repeat(20)])("%j is a prefix", (prefix) => {
    expect(mistakeInNamePrefix(prefix)).toBeUndefined();
  });

  test.each(["p".repeat(21), "Staging.", "staging_", ".staging", "amq.", "retry.", "x.dead-letter.", undefined])("%j is none", (prefix) => {
    expect(mistakeInNamePrefix(prefix)).toMatch(/^The name prefix .*\.$/);
  });
});

describe("header names", () => {
  test.each(["tenant-id", "a", "x1", "h".repeat(64), "tbx", "constructor"])("%j is a header name", (name) => {
    expect(mistakeInHeaderName(name)).toBeUndefined();
  });

  test.each([
    ["", "empty"],
    ["h".repeat(65), "65 characters"],
    ["Tenant-Id", "lower-case"],
    ["tenant_id", "lower-case"],
    ["__proto__", "lower-case"],
    ["a b", "lower-case"],
    ["a\r\nb", "lower-case"],
    ["tb-attempts", "reserved"],
    [3, "not text"],
  ])("%j is none, and the sentence says why", (name, why) => {
    expect(mistakeInHeaderName(name)).toContain(why);
  });
});
