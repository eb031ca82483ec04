import { expect, test } from "vitest";
import { EndpointDefinition } from "../../../src/endpoint/endpoint-definition.js";
import { Placed, Shipped } from "../../support/test-bus.js";

const definition = (assertNotStarted = (): void => {}): EndpointDefinition => new EndpointDefinition("audit", undefined, assertNotStarted);

test("what is said of an endpoint is kept, and the calls can be chained", () => {
  const endpoint = definition();
  expect(endpoint.subscribe(Placed, () => {}).unsubscribe(Shipped)).toBe(endpoint);
  expect([endpoint.consumers.types, [...endpoint.unsubscribed]]).toEqual([["shop.placed"], ["shop.shipped"]]);
  expect(endpoint.options).toEqual({});
});

test("options are checked, copied, and given once", () => {
  const endpoint = definition();
  const options = { concurrency: 5 };
  endpoint.configure(options);
  options.concurrency = 0;
  expect(endpoint.options).toEqual({ concurrency: 5 });
  expect(() => endpoint.configure({})).toThrow('Endpoint "audit": its options are given a second time');
  expect(() => definition().configure({ concurrency: 0, prefetchh: 1 } as never)).toThrow(/"prefetchh"[\s\S]*concurrency is 0/);
  expect(() => definition().configure("fast" as never)).toThrow('its options are "fast"');
  expect(() => definition().configure([] as never)).toThrow("its options are a list");
});

test.each([[undefined], ["shop.placed"], [new Placed(1)], [class NoType {}]])("unsubscribe takes classes of messages, not %s", (type) => {
  expect(() => definition().unsubscribe(type as never)).toThrow("unsubscribe is given the classes of messages");
});

test("nothing is taken after the start", () => {
  const endpoint = definition(() => {
    throw new Error("started");
  });
  expect(() => endpoint.subscribe(Placed, () => {})).toThrow("started");
  expect(() => endpoint.unsubscribe(Placed)).toThrow("started");
});
