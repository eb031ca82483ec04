import { expect, test } from "vitest";
import { describeWithKafka } from "../support/brokers.js";
import { Bench, message } from "./support/port.js";

const SETTINGS = ["retention.ms", "retention.bytes", "max.message.bytes", "cleanup.policy"];

describeWithKafka("topology", ({ brokers }) => {
  async function settingsOf(bench: Bench, name: string): Promise<Record<string, string>> {
    const admin = await bench.admin();
    const resources = [{ type: 2, name: bench.namePrefix + name, configNames: SETTINGS }];
    const { resources: found } = await admin.describeConfigs({ includeSynonyms: false, resources });
    return Object.fromEntries(found[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? []);
  }
  async function topicsOf(bench: Bench): Promise<readonly string[]> {
    const topics = (await (await bench.admin()).listTopics()).filter((topic) => topic.startsWith(bench.namePrefix));
    return topics.map((topic) => topic.slice(bench.namePrefix.length)).sort();
  }
  async function partitionsOf(bench: Bench, name: string): Promise<number> {
    const { topics } = await (await bench.admin()).fetchTopicMetadata({ topics: [bench.namePrefix + name] });
    return topics[0]?.partitions.length ?? 0;
  }

  test("an endpoint gets its topics; those of copies keep everything and take 64 KiB more a message", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 2, retention: "3d", topics: { "order.paid": "orders", "order.placed": "orders" } });
    const plan = bench.plan("billing", { subscribed: ["order.paid", "order.placed"], retryDelaysMs: [10_000, 60_000] });

    await port.transport.provision({ events: ["invoice.sent"], endpoints: [plan] }, "create");

    expect(await topicsOf(bench)).toEqual([
      "billing",
      "billing.dead-letter",
      "billing.retry.10s",
      "billing.retry.1m",
      "invoice.sent",
      "orders",
    ]);
    expect(await partitionsOf(bench, "orders")).toBe(2);
    expect(await partitionsOf(bench, "billing.retry.10s")).toBe(2);
    expect(await settingsOf(bench, "orders")).toMatchObject({ "retention.ms": String(3 * 86_400_000), "cleanup.policy": "delete" });
    for (const name of ["billing.dead-letter", "billing.retry.1m"]) {
      expect(await settingsOf(bench, name)).toEqual({
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": String(1_048_588 + 65_536),
        "cleanup.policy": "delete",
      });
    }
    expect(port.log.filter((line) => line.startsWith("warn"))).toEqual([]);
  });

  test("copies of an endpoint fit whatever its larger topics take", async () => {
    const bench = new Bench(brokers);
    await bench.makeTopic("large.thing", 1, { "max.message.bytes": "5000000" });
    const port = await bench.port({ partitions: 1 });
    await port.transport.provision({ events: [], endpoints: [bench.plan("billing", { subscribed: ["large.thing"] })] }, "create");
    expect(await settingsOf(bench, "billing.dead-letter")).toMatchObject({ "max.message.bytes": String(5_000_000 + 65_536) });
    expect(await port.send(message({ event: "large.thing" }, Buffer.alloc(4_000_000)))).toEqual([{ outcome: "sent" }]);
  });

  test("an ordered endpoint has no topics of retries, since its retries wait in the process", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port();
    const plan = bench.plan("billing", { retryDelaysMs: [1_000], order: "key" });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    expect(await topicsOf(bench)).toEqual(["billing", "billing.dead-letter"]);
  });

  test("many instances that make the same at one time all come through, and again when everything is there", async () => {
    const bench = new Bench(brokers);
    const ports = await Promise.all(Array.from({ length: 4 }, () => bench.port({ partitions: 2 })));
    const plan = { events: ["a.a", "b.b"], endpoints: [bench.plan("billing", { subscribed: ["a.a"], retryDelaysMs: [1_000] })] };

    await Promise.all(ports.map((port) => port.transport.provision(plan, "create")));
    await Promise.all(ports.map((port) => port.transport.provision(plan, "create")));
    await ports[0]?.transport.provision(plan, "verify");

    expect(await partitionsOf(bench, "a.a")).toBe(2);
    expect((await Promise.all(ports.map((port) => port.send(message({ event: "b.b" }, "x"))))).flat()).toEqual(
      ports.map(() => ({ outcome: "sent" })),
    );
  });

  test("verify makes nothing, and names everything that is missing or different", async () => {
    const bench = new Bench(brokers);
    await bench.makeTopic("a.a", 1);
    await bench.makeTopic("billing.dead-letter", 3, { "retention.ms": "1000", "max.message.bytes": "1000", "cleanup.policy": "compact" });
    const port = await bench.port({ partitions: 3, replication: 1 });
    const plan = { events: ["a.a", "b.b"], endpoints: [bench.plan("billing")] };

    const error = await port.transport.provision(plan, "verify").then(
      () => undefined,
      (reason: unknown) => reason,
    );

    expect(error).toMatchObject({ code: "topology", retryable: false });
    const { message: text } = error as Error;
    for (const part of [
      "a.a: it has 1 partitions and should have 3",
      "b.b is not there",
      "billing is not there",
      "retention.ms is 1000 and should be -1",
      `max.message.bytes is 1000 and should be ${1_048_588 + 65_536}`,
      "cleanup.policy",
    ]) {
      expect(text).toContain(part);
    }
    expect(await topicsOf(bench)).toEqual(["a.a", "billing.dead-letter"]);
  });

  test("fewer partitions than asked fail the start also where topics are made, more do not", async () => {
    const bench = new Bench(brokers);
    await bench.makeTopic("a.a", 1);
    await bench.makeTopic("b.b", 5);
    const port = await bench.port({ partitions: 3 });
    await expect(port.transport.provision({ events: ["a.a"], endpoints: [] }, "create")).rejects.toThrow(
      "has 1 partitions and should have 3",
    );
    await port.transport.provision({ events: ["b.b"], endpoints: [] }, "create");
    expect(await partitionsOf(bench, "a.a")).toBe(1);
  });

  test("more copies than there are brokers are refused by name, before anything waits", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ replication: 3 });
    await expect(port.transport.provision({ events: ["a.a"], endpoints: [] }, "create")).rejects.toMatchObject({
      code: "topology",
      message: expect.stringContaining(`${bench.namePrefix}a.a needs 3 copies (the option replication), and the cluster has 1 brokers`),
    });
  });

  test("a limit for copies that was outgrown later is told, and ends nobody's service", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 1 });
    const plan = { events: [], endpoints: [bench.plan("billing", { subscribed: ["large.thing"] })] };
    await port.transport.provision(plan, "create");
    await (await bench.admin()).alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: `${bench.namePrefix}large.thing`, configEntries: [{ name: "max.message.bytes", value: "5000000" }] }],
    });
    const other = await bench.port();
    await other.transport.provision(plan, "create");
    expect(other.log.join("\n")).toMatch(/warn: Kafka, topic .*billing\.dead-letter: max\.message\.bytes is 1114124 and should be 5065536/);
  });

  test("a type cannot be put on the topic of an endpoint's commands", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ topics: { "order.paid": "billing" } });
    const plan = { events: [], endpoints: [bench.plan("billing", { subscribed: ["order.paid"] })] };
    await expect(port.transport.provision(plan, "create")).rejects.toMatchObject({ code: "configuration" });
  });

  test("a compacted topic and in-sync replicas that cannot be are told", async () => {
    const bench = new Bench(brokers);
    await bench.makeTopic("a.a", 1, { "cleanup.policy": "compact" });
    await bench.makeTopic("b.b", 1, { "min.insync.replicas": "2" });
    const port = await bench.port();
    await port.transport.provision({ events: ["a.a"], endpoints: [] }, "create");
    expect(port.log.join("\n")).toMatch(/warn: Kafka, topic .*a\.a: cleanup\.policy is compact/);
    await expect(port.transport.provision({ events: ["b.b"], endpoints: [] }, "verify")).rejects.toThrow("min.insync.replicas is 2");
  });
});
