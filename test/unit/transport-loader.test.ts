import { describe, expect, test } from "vitest";
import type { Transport } from "../../src/index.js";
import { checkTransportOption, loadTransport } from "../../src/transport-loader.js";
import { Mistakes } from "../../src/util/mistakes.js";
import { ScriptedTransport } from "../support/scripted-transport.js";

function mistakesIn(option: unknown): readonly string[] {
  const mistakes = new Mistakes();
  checkTransportOption(option, mistakes);
  return mistakes.all;
}

describe("a transport may be given", () => {
  test.each(["memory:", "memory:tests", "amqp://host", "amqps://user:secret@host/vhost", "AMQP://host", "kafka://a:9092,b:9092"])(
    "as the URL %s",
    (url) => {
      expect(mistakesIn(url)).toEqual([]);
    },
  );

  test("as plain data", () => {
    expect(mistakesIn({ type: "rabbitmq", url: "amqp://host" })).toEqual([]);
    expect(mistakesIn({ type: "kafka", brokers: "host:9092" })).toEqual([]);
  });

  test("made by hand: each bus gets a share of one that can be shared, else the one itself", async () => {
    const own = new ScriptedTransport();
    expect(mistakesIn(own)).toEqual([]);
    expect(await loadTransport(own)).toBe(own);
    const shared = Object.assign(new ScriptedTransport(), { share: (): Transport => new ScriptedTransport() });
    const [first, second] = [await loadTransport(shared), await loadTransport(shared)];
    expect(new Set([shared, first, second]).size).toBe(3);
  });
});

test("a URL or plain data loads its adapter; two buses of one URL get transports of their own", async () => {
  const [first, second, third] = [
    await loadTransport("memory:loader"),
    await loadTransport("memory:loader"),
    await loadTransport({ type: "memory" }),
  ];
  expect([first.name, second.name, third.name]).toEqual(["memory", "memory", "memory"]);
  expect(first).not.toBe(second);
});

test("what the adapter finds wrong is told", async () => {
  await expect(loadTransport({ type: "memory", colour: "red" })).rejects.toMatchObject({
    code: "configuration",
    message: expect.stringContaining("colour"),
  });
});

test.each([
  ["sb://Root:key@shop.servicebus.windows.net"],
  ["Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=c2VjcmV0"],
  [" endpoint=SB://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=c2VjcmV0"],
])("a Service Bus namespace is told by its URL or by its connection string: %s", async (text) => {
  expect(mistakesIn(text)).toEqual([]);
  expect((await loadTransport(text)).name).toBe("azure-service-bus");
});

test("of text that nobody takes, what could be a secret is not told", () => {
  expect(mistakesIn("Server=db;Password=hunter2").join()).not.toContain("hunter2");
});

test.each([
  ["mqtt://host"],
  ["memory"],
  [""],
  ["://"],
  [{ type: "mqtt" }],
  [{ type: 5 }],
  [{ type: "constructor" }],
  [{}],
  [null],
  [() => {}],
])("%j is refused, with what is known", (option) => {
  expect(mistakesIn(option)).toHaveLength(1);
});
