import { describe, expect, test } from "vitest";
import type { EndpointOptions } from "../../../src/index.js";
import { checkEndpointOptions, resolveEndpointSettings } from "../../../src/options/endpoint-settings.js";
import { Mistakes } from "../../../src/util/mistakes.js";

const WINDOW_MS = 1_800_000;
const resolve = (own: EndpointOptions, shared: EndpointOptions = {}) => resolveEndpointSettings(own, shared, WINDOW_MS);

test("the defaults are those of the documentation", () => {
  expect(resolve({})).toEqual({
    concurrency: 16,
    prefetch: 32,
    order: "none",
    retry: { immediate: 3, immediateDelayMs: 100, delaysMs: [10_000, 60_000, 600_000], giveUpOn: [] },
    handlerTimeoutMs: 300_000,
    deduplication: { windowMs: WINDOW_MS },
  });
});

test("prefetch follows the concurrency, wherever that is given", () => {
  expect(resolve({ concurrency: 5 }).prefetch).toBe(10);
  expect(resolve({}, { concurrency: 7 }).prefetch).toBe(14);
  expect(resolve({ concurrency: 5 }, { prefetch: 100 }).prefetch).toBe(100);
});

describe("what the endpoint says goes before what the bus says", () => {
  test("field by field in retry and deduplication", () => {
    const { retry, deduplication } = resolve(
      { retry: { immediate: 1 }, deduplication: {} },
      { retry: { delays: ["5s"], immediate: 9 }, deduplication: { window: "1h" } },
    );
    expect(retry).toEqual({ immediate: 1, immediateDelayMs: 100, delaysMs: [5000], giveUpOn: [] });
    expect(deduplication).toEqual({ windowMs: 3_600_000 });
  });

  test("false switches off, and what the endpoint gives switches on again, from the defaults", () => {
    const off = { immediate: 0, immediateDelayMs: 0, delaysMs: [], giveUpOn: [] };
    expect(resolve({ retry: false }, { retry: { immediate: 9 } }).retry).toEqual(off);
    expect(resolve({}, { retry: false }).retry).toEqual(off);
    expect(resolve({ retry: { immediate: 1 } }, { retry: false }).retry).toMatchObject({
      immediate: 1,
      delaysMs: [10_000, 60_000, 600_000],
    });
    expect(resolve({ deduplication: false }, { deduplication: { window: "1h" } }).deduplication).toBeUndefined();
    expect(resolve({}, { deduplication: false }).deduplication).toBeUndefined();
    expect(resolve({ deduplication: {} }, { deduplication: false }).deduplication).toEqual({ windowMs: WINDOW_MS });
  });

  test("but not where it says undefined, in whichever option", () => {
    const shared: EndpointOptions = {
      concurrency: 2,
      prefetch: 3,
      handlerTimeout: "4s",
      retry: { immediate: 0, immediateDelay: "5ms", delays: ["6s"], giveUpOn: [TypeError] },
      deduplication: { window: "1h" },
    };
    // As a JavaScript service, or one without `exactOptionalPropertyTypes`, may write it.
    const unsaid: object = {
      concurrency: undefined,
      prefetch: undefined,
      handlerTimeout: undefined,
      retry: { immediate: undefined, immediateDelay: undefined, delays: undefined, giveUpOn: undefined },
      deduplication: { window: undefined },
    };
    expect(resolve(unsaid, shared)).toEqual(resolve({}, shared));
  });

  test("order is the endpoint's alone", () => {
    expect(resolve({ order: "key" }).order).toBe("key");
  });
});

test("mistakes name the endpoint", () => {
  const mistakes = new Mistakes();
  checkEndpointOptions('endpoint "audit"', { order: "keys", namePrefix: "x" } as never, mistakes);
  expect(mistakes.all).toEqual([
    expect.stringMatching(/^endpoint "audit" has no option "namePrefix"/),
    'endpoint "audit": order is "keys"; it is "key" or "none".',
  ]);
});
