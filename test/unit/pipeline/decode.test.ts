import { afterEach, describe, expect, test } from "vitest";
import type { Bus } from "../../../src/index.js";
import { bodyOf, type DeliveryParts } from "../../support/scripted-delivery.js";
import { Placed, type TestBus, testBus } from "../../support/test-bus.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

async function started(maxMessageBytes = 10_000): Promise<TestBus & { readonly handled: number[] }> {
  const made = testBus({ maxMessageBytes });
  buses.push(made.bus);
  const handled: number[] = [];
  made.bus.subscribe(Placed, ({ n }) => void handled.push(n));
  await made.bus.start();
  return { ...made, handled };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = "application/cloudevents+json";

describe("what cannot be handled is dead-lettered without a run, with its reason, and its neighbours are handled:", () => {
  const bad: [what: string, parts: DeliveryParts, reason: string][] = [
    ["an empty body", { body: new Uint8Array(), properties: { contentType: json } }, "undecodable"],
    ["no JSON", { body: bytes("{"), properties: { contentType: json } }, "undecodable"],
    ["bytes that are no text", { body: new Uint8Array([0xff, 0xfe, 0]), properties: { contentType: json } }, "undecodable"],
    ["JSON without an envelope", { body: bytes('{"orderId":"1"}'), properties: { contentType: json } }, "undecodable"],
    ["an unknown content type", { body: bodyOf("shop.placed", {}), properties: { contentType: "application/x-protobuf" } }, "undecodable"],
    ["100,000 levels of nesting", { body: bytes("[".repeat(4000) + "]".repeat(4000)), properties: { contentType: json } }, "undecodable"],
    [
      "a key that changes prototypes",
      { body: bodyOf("shop.placed", {}, { dataText: '{"__proto__":{"n":1}}' }), properties: { contentType: json } },
      "undecodable",
    ],
    ["a body above the limit", { body: new Uint8Array(10_001), properties: { contentType: json } }, "too-large"],
    ["what has ended its process too often", { body: bodyOf("shop.placed", { n: 1 }), suspicion: "crashed" }, "crashed"],
  ];
  test.each(bad)("%s", async (_, parts, reason) => {
    const made = await started();
    const poison = made.transport.deliver("shop", { ...parts, headers: { "tb-attempts": "2", "tb-round": "1" } });
    const neighbour = made.transport.deliverMessage("shop", "shop.placed", { n: 7 });
    expect(await poison.answered).toMatchObject({
      verb: "deadLetter",
      failure: { "tb-reason": reason, "tb-attempts": "2", "tb-endpoint": "shop" },
    });
    expect((await neighbour.answered).verb).toBe("complete");
    expect(made.handled).toEqual([7]);
  });
});

test("a body of just the largest size is read", async () => {
  const body = bodyOf("shop.placed", { n: 1 });
  const made = await started(body.byteLength);
  expect((await made.transport.deliver("shop", { body, properties: { contentType: json } }).answered).verb).toBe("complete");
});

test("a body is not parsed before its size is checked", async () => {
  const made = await started(10);
  const answer = await made.transport.deliver("shop", { body: bytes("not JSON, and too large"), properties: { contentType: json } })
    .answered;
  expect(answer).toMatchObject({ failure: { "tb-reason": "too-large", "tb-error-message": expect.stringContaining("maxMessageBytes") } });
});

test("headers of anybody's making do no harm", async () => {
  const made = await started();
  const headers = JSON.parse('{"__proto__":"x","constructor":"y","tb-attempts":"1e9","tb-first-failed-at":"+300000-01-01T00:00:00.000Z"}');
  expect((await made.transport.deliverMessage("shop", "shop.placed", { n: 1 }, {}, { headers }).answered).verb).toBe("complete");
});
