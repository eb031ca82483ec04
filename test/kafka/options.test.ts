import { describe, expect, test } from "vitest";
import type { TransportConfig } from "../../src/contracts/bus-options.js";
import { type KafkaOptions, kafka, transportFromConfig, transportFromUrl } from "../../transports/kafka/index.js";
import { optionsFromConfig, optionsFromUrl, resolveOptions } from "../../transports/kafka/options.js";

const mistakesIn = (options: unknown): string => {
  try {
    kafka(options as KafkaOptions);
  } catch (error) {
    expect(error).toMatchObject({ name: "TrolleybusError", code: "configuration", retryable: false });
    return (error as Error).message;
  }
  throw new Error("the options should have been refused");
};

describe("URLs", () => {
  test("everything has its default", () => {
    expect(optionsFromUrl("kafka://a,b:9093")).toEqual({
      brokers: ["a:9092", "b:9093"],
      clientId: undefined,
      tls: undefined,
      sasl: undefined,
      compression: "none",
      codecs: {},
      topics: {},
      partitions: -1,
      replication: -1,
      retentionMs: undefined,
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 15_000,
      sessionTimeoutMs: 10_000,
      from: "now",
    });
  });

  test("user and password are for SASL, and what is percent-encoded is decoded", () => {
    expect(optionsFromUrl("kafka://us%40er:p%2Fw%3A%23%2C@a:9092,b").sasl).toEqual({
      mechanism: "plain",
      username: "us@er",
      password: "p/w:#,",
    });
    expect(optionsFromUrl("kafka://u:p@a?sasl=scram-sha-512").sasl).toMatchObject({ mechanism: "scram-sha-512" });
  });

  test("parameters set options", () => {
    const url =
      "kafka://a?client-id=orders&tls=true&compression=gzip&partitions=6&replication=3&retention=14d&connect-timeout=2s&request-timeout=5s&session-timeout=30s&from=beginning&server-name=kafka.internal";
    expect(optionsFromUrl(url)).toMatchObject({
      clientId: "orders",
      tls: { serverName: "kafka.internal" },
      compression: "gzip",
      partitions: 6,
      replication: 3,
      retentionMs: 14 * 86_400_000,
      connectTimeoutMs: 2_000,
      requestTimeoutMs: 5_000,
      sessionTimeoutMs: 30_000,
      from: "beginning",
    });
    expect(optionsFromUrl("kafka://a?from=2026-01-02T03:04:05Z").from).toEqual({ time: Date.UTC(2026, 0, 2, 3, 4, 5) });
    expect(optionsFromUrl("kafka://a?retention=unlimited").retentionMs).toBe(-1);
    expect(optionsFromUrl("kafka://a?tls=false").tls).toBeUndefined();
  });

  test.each([
    ["a:9092", "kafka://"],
    ["http://a", "kafka://"],
    ["kafka://", "no host"],
    ["kafka://a,,b", "broker 2 of 3"],
    ["kafka://a:0", "host:9092"],
    ["kafka://a:70000", "host:9092"],
    ["kafka://[::1]:9092", "IPv4"],
    ["kafka://a/topic", "path"],
    ["kafka://a/#x", "%23"],
    ["kafka://us%er:x@a", "percent-encoded"],
    ["kafka://user@a", "password"],
    ["kafka://a?partition=3", 'did you mean "partitions"'],
    ["kafka://a?partitions=3&partitions=4", "more than once"],
    ["kafka://a?partitions=0", "partitions"],
    ["kafka://a?replication=x", "replication"],
    ["kafka://a?tls=yes", '"true" or "false"'],
    ["kafka://a?compression=zip", '"gzip"'],
    ["kafka://a?compression=zstd", "codecs"],
    ["kafka://a?sasl=kerberos", '"scram-sha-256"'],
    ["kafka://a?sasl=oauthbearer", "token"],
    ["kafka://a?from=yesterday", "from"],
    ["kafka://a?retention=0s", "retention"],
    ["kafka://a?ca-file=/no/such/file&tls=true", "tls.caFile"],
    ["kafka://a?server-name=b", "tls is not on"],
  ])("%s is refused", (url, part) => {
    expect(() => transportFromUrl(url)).toThrow(part);
  });

  test("no mistake quotes the password", () => {
    for (const url of [
      "kafka://user:hunter2@a/b?x=1#y",
      "http://user:hunter2@a",
      "kafka://user:hunter2@",
      "kafka://user:hunter2%zz@a",
      "kafka://user:hunter2@a?sasl=kerberos",
      "kafka://user:hunter2@bad host",
      "kafka://user:hunter2@x@a",
    ]) {
      expect(mistakesIn({ url })).not.toContain("hunter2");
    }
  });
});

describe("options", () => {
  test("all mistakes are told at once", () => {
    const text = mistakesIn({
      broker: "a",
      clientId: "",
      tls: { caFle: "x", cert: "c" },
      sasl: { mechanism: "plain", username: "u", pasword: "hunter2" },
      codecs: { brotli: 1 },
      topics: { bad_type: "t", good: "bad topic", fine: "x.retry.y" },
      partitions: 1.5,
      requestTimeout: "soon",
      from: 5,
    });

    for (const part of [
      'no option "broker"; did you mean "brokers"',
      "brokers is missing",
      "clientId",
      'did you mean "caFile"',
      "tls.cert and tls.key belong together",
      'did you mean "password"',
      "sasl needs a username and a password",
      '"brotli"',
      '"bad_type"',
      'that of "good"',
      "reserved",
      "partitions must be",
      "requestTimeout must be",
      "from must be",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain("hunter2");
  });

  test.each([
    [undefined, "must be an object"],
    ["a:9092", "must be an object"],
    [{ brokers: [] }, "empty list"],
    [{ brokers: [5] }, "host:9092"],
    [{ brokers: "a", url: "kafka://a" }, "both given"],
    [{ url: "kafka://u:p@a", sasl: { mechanism: "plain", username: "u", password: "p" } }, "Leave one"],
    [{ brokers: "a", sasl: "plain" }, "sasl must be an object"],
    [{ brokers: "a", sasl: { mechanism: "oauthbearer", token: "t" } }, "function"],
    [{ brokers: "a", tls: "yes" }, "tls must be"],
    [{ brokers: "a", tls: false, compression: "lz4", codecs: { lz4: {} } }, "codecs.lz4"],
    [{ brokers: "a", topics: [] }, "topics must be"],
    [{ brokers: "a", topics: new Map([["order.placed", "orders"]]) }, "topics must be"],
  ])("%j is refused", (options, part) => {
    expect(mistakesIn(options)).toContain(part);
  });

  test("brokers may be a list, or one text with commas", () => {
    expect(resolveOptions({ brokers: ["a:1", "b"] }).brokers).toEqual(["a:1", "b:9092"]);
    expect(resolveOptions({ brokers: "a:1, b" }).brokers).toEqual(["a:1", "b:9092"]);
  });

  test("tokens and codecs are taken as functions, a start as a date", async () => {
    const token = () => Promise.resolve("t");
    const codec = () => ({ compress: async () => Buffer.alloc(0), decompress: async (data: Buffer) => data });
    const from = new Date(5_000);
    expect(
      resolveOptions({ brokers: "a", sasl: { mechanism: "oauthbearer", token }, compression: "zstd", codecs: { zstd: codec }, from }),
    ).toMatchObject({ sasl: { mechanism: "oauthbearer", token }, compression: "zstd", from: { time: 5_000 } });
  });

  test("plain data makes a transport; its type must be kafka", () => {
    expect(transportFromConfig({ type: "kafka", brokers: "a" } as unknown as TransportConfig).name).toBe("kafka");
    expect(optionsFromConfig({ type: "kafka", url: "kafka://a", partitions: 2 } as unknown as TransportConfig)).toMatchObject({
      brokers: ["a:9092"],
      partitions: 2,
    });
    expect(() => transportFromConfig({ type: "memory" } as unknown as TransportConfig)).toThrow('type must be "kafka"');
  });

  test("types that share a topic are in order together, others are not", () => {
    const transport = kafka({ brokers: "a", topics: { "order.placed": "orders", "order.paid": "orders" } });
    expect(transport.capabilities).toMatchObject({ order: "type", settlesIndividually: false, keeps: "time" });
    expect(transport.ordersTogether?.(["order.placed", "order.paid"])).toBe(true);
    expect(transport.ordersTogether?.(["order.placed", "orders"])).toBe(true);
    expect(transport.ordersTogether?.(["order.placed", "order.shipped"])).toBe(false);
  });
});
