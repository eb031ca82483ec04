import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { TransportConfig } from "../../src/contracts/bus-options.js";
import { type RabbitMqOptions, rabbitmq, transportFromConfig, transportFromUrl } from "../../transports/rabbitmq/index.js";
import { optionsFromUrl, resolveOptions } from "../../transports/rabbitmq/options.js";

const mistakesIn = (options: unknown): string => {
  try {
    rabbitmq(options as RabbitMqOptions);
  } catch (error) {
    expect(error).toMatchObject({ name: "TrolleybusError", code: "configuration", retryable: false });
    return (error as Error).message;
  }
  throw new Error("the options should have been refused");
};

describe("URLs", () => {
  test("everything has its default", () => {
    expect(optionsFromUrl("amqp://rabbit")).toMatchObject({
      addresses: [{ secure: false, host: "rabbit", port: 5672, username: "guest", password: "guest", virtualHost: "/" }],
      heartbeatSeconds: 10,
      connectTimeoutMs: 10_000,
    });
    expect(optionsFromUrl("amqps://rabbit").addresses[0]).toMatchObject({ secure: true, port: 5671 });
  });

  test("what is percent-encoded is decoded", () => {
    expect(optionsFromUrl("amqp://us%40er:p%2Fw%3A%23@[::1]:5673/a%2Fb").addresses[0]).toMatchObject({
      host: "::1",
      port: 5673,
      username: "us@er",
      password: "p/w:#",
      virtualHost: "a/b",
    });
    expect(optionsFromUrl("amqp://rabbit/%2F").addresses[0]?.virtualHost).toBe("/");
  });

  test("parameters set options, and a bare number of the heartbeat is seconds, as RabbitMQ has it", () => {
    expect(optionsFromUrl("amqp://rabbit?heartbeat=30&connect-timeout=2s&connection-name=orders")).toMatchObject({
      heartbeatSeconds: 30,
      connectTimeoutMs: 2_000,
      connectionName: "orders",
    });
    expect(optionsFromUrl("amqp://rabbit?heartbeat=1m").heartbeatSeconds).toBe(60);
    expect(optionsFromUrl("amqp://rabbit?heartbeat=0").heartbeatSeconds).toBe(0);
  });

  test.each([
    ["rabbit:5672", "amqp:"],
    ["http://rabbit", '"http:"'],
    ["not a url", "not a URL"],
    ["amqp://", "no host"],
    ["amqp://rabbit/a/b", "%2F"],
    ["amqp://rabbit/#x", "%23"],
    ["amqp://us%er@rabbit", "percent-encoded"],
    ["amqp://rabbit?hartbeat=3", 'did you mean "heartbeat"'],
    ["amqp://rabbit?heartbeat=3.5s", "whole seconds"],
    ["amqp://rabbit?heartbeat=1s&heartbeat=2s", "more than once"],
    ["amqp://rabbit?ca-file=/no/such/file", "tls.caFile"],
  ])("%s is refused", (url, part) => {
    expect(() => transportFromUrl(url)).toThrow(part);
  });

  test("no mistake quotes the password", () => {
    for (const url of [
      "amqp://user:hunter2@rabbit/a/b?x=1#y",
      "http://user:hunter2@rabbit",
      "amqp://user:hunter2@",
      "amqp://user:hunter2%zz@rabbit",
    ]) {
      expect(mistakesIn({ url })).not.toContain("hunter2");
    }
  });
});

describe("options", () => {
  test("all mistakes are told at once", () => {
    const text = mistakesIn({
      urls: "amqp://x",
      heartbeat: "often",
      connectTimeout: 0,
      connectionName: "",
      tls: { caFle: "x", cert: "c" },
    });

    for (const part of [
      'no option "urls"',
      "url is missing",
      "heartbeat must be",
      "connectTimeout must be",
      "connectionName must be",
      '"caFle"',
      "tls.cert and tls.key",
    ]) {
      expect(text).toContain(part);
    }
  });

  test("options of our own come before those of the URL", () => {
    const options = resolveOptions({
      url: ["amqp://a:b@one?heartbeat=3", "amqp://a:b@two?heartbeat=3"],
      username: "u",
      password: "p",
      heartbeat: "20s",
    });

    expect(options.addresses.map(({ host, username, password }) => [host, username, password])).toEqual([
      ["one", "u", "p"],
      ["two", "u", "p"],
    ]);
    expect(options.heartbeatSeconds).toBe(20);
  });

  test("tls without TLS, an empty list and a wrong type are refused", () => {
    expect(mistakesIn({ url: "amqp://x", tls: { ca: "pem" } })).toContain('Write "amqps:"');
    expect(mistakesIn({ url: [] })).toContain("empty list");
    expect(mistakesIn(undefined)).toContain("must be an object");
    expect(() => transportFromConfig({ type: "memory" } as TransportConfig)).toThrow('type must be "rabbitmq"');
  });

  test("files are read", () => {
    const folder = mkdtempSync(join(tmpdir(), "trolleybus-options-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const caFile = join(folder, "ca.pem");
    writeFileSync(caFile, "the authority");

    expect(resolveOptions({ url: "amqps://x", tls: { caFile } }).tls.connectOptions).toEqual({ ca: "the authority" });
    expect(optionsFromUrl(`amqps://x?ca-file=${encodeURIComponent(caFile)}&server-name=rabbit.internal`).tls.connectOptions).toEqual({
      ca: "the authority",
      servername: "rabbit.internal",
    });
    expect(mistakesIn({ url: "amqps://x", tls: { ca: "pem", caFile } })).toContain("one is enough");
  });

  test("a configuration object is JSON", () => {
    const config: TransportConfig = JSON.parse(
      '{"type":"rabbitmq","url":["amqps://a","amqps://b"],"heartbeat":"5s","tls":{"serverName":"x"}}',
    );

    expect(transportFromConfig(config).name).toBe("rabbitmq");
  });
});
