import { describe, expect, test } from "vitest";
import { type BusOptions, createBus, memoryStore, TrolleybusError } from "../../../src/index.js";
import { resolveBusSettings } from "../../../src/options/bus-settings.js";
import { ScriptedTransport } from "../../support/scripted-transport.js";
import { Placed } from "../../support/test-bus.js";

const good: BusOptions = { service: "shop", transport: "memory:" };

function textOf(options: object): string {
  try {
    createBus({ ...good, ...options } as BusOptions);
  } catch (error) {
    if (error instanceof TrolleybusError && error.code === "configuration" && !error.retryable) return error.message;
    throw error;
  }
  throw new Error("it was taken");
}

test("with service and transport alone every other option has its default", () => {
  const settings = resolveBusSettings(good);
  expect(settings).toMatchObject({
    service: "shop",
    transport: "memory:",
    store: { name: "memory" },
    resolve: undefined,
    publishes: [],
    topology: "create",
    namePrefix: "",
    propagateHeaders: [],
    ambientContext: true,
    publishTimeoutMs: 30_000,
    maxPendingPublishes: 10_000,
    maxMessageBytes: undefined,
  });
});

test("what is given is taken, durations as milliseconds", () => {
  const store = memoryStore();
  const given = {
    publishTimeout: "5s",
    maxPendingPublishes: 1,
    maxMessageBytes: 1000,
    topology: "none",
    namePrefix: "dev.",
    store,
  } as const;
  const { publishTimeoutMs, ...settings } = resolveBusSettings({ ...good, ...given, propagateHeaders: ["tenant-id"], publishes: [Placed] });
  expect(publishTimeoutMs).toBe(5000);
  expect(settings).toMatchObject({ maxPendingPublishes: 1, maxMessageBytes: 1000, topology: "none", namePrefix: "dev.", store });
});

test("what is done to the options afterwards changes nothing", () => {
  const options: { concurrency?: number } & BusOptions = { ...good, concurrency: 4 };
  const settings = resolveBusSettings(options);
  (options as { concurrency: unknown }).concurrency = "many";
  expect(settings.endpointDefaults.concurrency).toBe(4);
});

describe("a mistake is told with the option's name and what it should be:", () => {
  const mistakes: [options: object, told: string | RegExp][] = [
    [{ service: undefined }, /service names the service.*it is undefined/],
    [{ service: "Shop" }, /"S": only lower-case letters/],
    [{ service: "shop_1" }, "Kafka"],
    [{ service: "a".repeat(51) }, "at most 50"],
    [{ service: "shop.retry" }, 'part "retry"'],
    [{ transport: undefined }, "transport is undefined"],
    [{ transport: "shop.example" }, "which no adapter takes. Known are memory:, amqp:"],
    [{ transport: "https://user:hunter2@host" }, 'transport begins with "https:"'],
    [{ transport: { type: "rabitmq" } }, 'transport.type is "rabitmq". Known are "memory", "rabbitmq"'],
    [{ transport: { type: "__proto__" } }, "transport.type"],
    [{ transport: { url: "amqp://host" } }, "an object with a `type`"],
    [{ transport: 5 }, "transport is 5"],
    [{ transprot: "memory:" }, 'no option "transprot"; did you mean "transport"?'],
    [{ concurency: 5 }, 'did you mean "concurrency"?'],
    [{ zzz: 1 }, 'has no option "zzz". It knows: '],
    [{ order: "key" }, "order is an option of an endpoint"],
    [{ topology: "update" }, 'topology is "update"; it is "create", "verify" or "none"'],
    [{ namePrefix: "Dev_" }, "namePrefix"],
    [{ namePrefix: 5 }, "namePrefix"],
    [{ namePrefix: "x".repeat(21) }, "at most 20"],
    [{ propagateHeaders: "tenant" }, 'propagateHeaders is "tenant"; it is a list'],
    [{ propagateHeaders: ["Tenant"] }, "propagateHeaders: The header name"],
    [{ propagateHeaders: ["tb-attempts"] }, "reserved"],
    [{ publishes: Placed }, "publishes is a function; it is a list of classes"],
    [{ publishes: [class NoType {}] }, "publishes lists NoType; it has no static messageType"],
    [{ publishes: [null] }, "publishes lists null"],
    [{ ambientContext: "no" }, "ambientContext"],
    [{ resolve: {} }, "resolve is of type object; it is a function"],
    [{ store: {} }, "store is of type object"],
    [{ store: null }, "store is null"],
    [{ logger: { info() {} } }, "logger has no debug, warn, error"],
    [{ logger: null }, "logger has no"],
    [{ publishTimeout: 0 }, "publishTimeout is 0"],
    [{ publishTimeout: "25d" }, "at most 24 days"],
    [{ publishTimeout: "soon" }, 'publishTimeout is "soon"'],
    [{ maxPendingPublishes: 0 }, "maxPendingPublishes is 0; it is a whole number from 1 on"],
    [{ maxPendingPublishes: 1.5 }, "maxPendingPublishes is 1.5"],
    [{ maxMessageBytes: "1MB" }, 'maxMessageBytes is "1MB"'],
    [{ concurrency: -1 }, "concurrency is -1"],
    [{ prefetch: Number.NaN }, "prefetch is NaN"],
    [{ handlerTimeout: 0 }, "handlerTimeout is 0"],
    [{ handlerTimeout: 2 ** 31 }, "at most 24 days"],
    [{ retry: true }, "retry is true; it is an object, or false"],
    [{ retry: null }, "retry is null"],
    [{ retry: new Map([["immediate", 5]]) }, "retry is of type object"],
    [{ retry: { imediate: 3 } }, 'retry has no option "imediate"; did you mean "immediate"?'],
    [{ retry: { immediate: -1 } }, "retry.immediate is -1; it is a whole number from 0 on"],
    [{ retry: { immediateDelay: "1 s" } }, "retry.immediateDelay"],
    [{ retry: { delays: "10s" } }, 'retry.delays is "10s"; it is a list'],
    [{ retry: { delays: ["10s", "8d"] } }, 'retry.delays has "8d"'],
    [{ retry: { delays: [0] } }, "retry.delays has 0"],
    [{ retry: { delays: ["0.5ms"] } }, "retry.delays"],
    [{ retry: { giveUpOn: Error } }, "retry.giveUpOn is a list"],
    [{ retry: { giveUpOn: ["TypeError"] } }, "retry.giveUpOn is a list"],
    [{ deduplication: true }, "deduplication is true"],
    [{ deduplication: { widow: "1h" } }, 'did you mean "window"?'],
    [{ deduplication: { window: 0 } }, "deduplication.window is 0"],
  ];
  test.each(mistakes)("%j", (options, told) => {
    expect(textOf(options)).toMatch(told instanceof RegExp ? told : new RegExp(told.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  });

  test("no secret of a wrong URL is told", () => {
    expect(textOf({ transport: "ampq://user:hunter2@host/vhost" })).not.toContain("hunter2");
    expect(textOf({ transport: "hunter2" })).not.toContain("hunter2");
  });
});

test("all mistakes are told at once", () => {
  const text = textOf({ service: "Shop", concurency: 5, retry: { immediate: -1 }, publishes: "all" });
  expect(text.split("\n  - ")).toHaveLength(5);
});

test.each([[undefined], [null], ["memory:"]])("createBus(%j) says what it is given", (options) => {
  expect(() => createBus(options as never)).toThrow("object of options");
});

test("a transport that was made by hand is taken as it is", () => {
  const transport = new ScriptedTransport();
  expect(resolveBusSettings({ ...good, transport }).transport).toBe(transport);
});
