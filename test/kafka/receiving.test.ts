import type { IHeaders, Message } from "kafkajs";
import { expect, test } from "vitest";
import type { Delivery } from "../../src/contracts/transport.js";
import { describeWithKafka } from "../support/brokers.js";
import { instance, numbers, sendNumbers, textOf } from "./support/endpoint.js";
import { eventually } from "./support/eventually.js";
import { Bench, message } from "./support/port.js";

const byNumber = (texts: readonly string[]): string[] => texts.toSorted((a, b) => Number(a) - Number(b));

describeWithKafka("receiving", ({ brokers }) => {
  test("one slow record stops nobody: thousands behind it in its partition are handled meanwhile, and none of them again by the next instance", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const options = { partitions: 1 };
    const first = await instance(bench, plan, {
      prefetch: 200,
      options,
      onDelivery: (delivery) => void (textOf(delivery) !== "0" && queueMicrotask(() => delivery.complete())),
    });
    await sendNumbers(first.port, "shipping", 0, 5_001);
    await first.inbox.reach(5_001, 30_000);
    expect(byNumber(first.inbox.deliveries.map(textOf))).toEqual(numbers(5_001));
    await first.leave();

    const second = await instance(bench, plan, { options });
    await sendNumbers(second.port, "shipping", 5_001, 1);
    await second.inbox.reach(2);
    expect(second.inbox.deliveries.map(textOf)).toEqual(["0", "5001"]);
  });

  test("no more is handed over than prefetch, in all partitions together", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const { port, inbox } = await instance(bench, plan, { prefetch: 7, options: { partitions: 3 }, onDelivery: () => {} });
    await sendNumbers(port, "shipping", 0, 100);
    await inbox.reach(7);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(inbox.deliveries).toHaveLength(7);

    inbox.onDelivery = (delivery) => void delivery.complete();
    for (const delivery of [...inbox.deliveries]) delivery.complete();
    await inbox.reach(100);
    expect(byNumber(inbox.deliveries.map(textOf))).toEqual(numbers(100));
  });

  test("a record that takes longer than the session is handed over once, and its settlement counts", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const options = { partitions: 1, sessionTimeout: "6s" } as const;
    const { port, inbox, leave } = await instance(bench, plan, { options, onDelivery: () => {} });
    await sendNumbers(port, "shipping", 0, 1);
    const [slow] = await inbox.reach(1);
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    expect([slow?.isLost, slow?.complete()]).toEqual([false, "settled"]);
    expect(inbox.deliveries).toHaveLength(1);
    await leave();

    const next = await instance(bench, plan, { options });
    await sendNumbers(next.port, "shipping", 1, 1);
    expect((await next.inbox.reach(1)).map(textOf)).toEqual(["1"]);
  });

  test("when another instance joins, what moves to it is lost here, and what stays is neither lost nor handed over again", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping");
    const options = { partitions: 4 };
    const first = await instance(bench, plan, { prefetch: 100, options, onDelivery: () => {} });
    await sendNumbers(first.port, "shipping", 0, 40);
    const held = [...(await first.inbox.reach(40))];
    const lostSignals = held.map(({ lost }) => lost);

    const second = await instance(bench, plan, { prefetch: 100, options });
    await eventually("the first loses two partitions", () => held.some(({ isLost }) => isLost));
    const lost = held.filter(({ isLost }) => isLost);
    expect(new Set(lost.map(({ source }) => source.split("@")[0])).size).toBe(2);
    expect(lostSignals.filter(({ aborted }) => aborted)).toHaveLength(lost.length);
    await second.inbox.reach(lost.length);

    expect(held.map((delivery) => delivery.complete()).filter((answer) => answer === "lost")).toHaveLength(lost.length);
    await sendNumbers(first.port, "shipping", 40, 20);
    await eventually("the later ones", () => first.inbox.deliveries.length + second.inbox.deliveries.length >= 40 + lost.length + 20);
    expect(byNumber(second.inbox.deliveries.map(textOf).filter((text) => Number(text) < 40))).toEqual(byNumber(lost.map(textOf)));
  });

  test("an endpoint begins with what is published after it was started, from then on it misses nothing, and new partitions are read from their first record", async () => {
    const bench = new Bench(brokers);
    const publisher = await bench.port({ partitions: 2 });
    await publisher.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");
    const publish = (text: string) => publisher.send(...Array.from({ length: 6 }, () => message({ event: "test.thing" }, text)));
    await publish("before");

    const plan = bench.plan("audit", { subscribed: ["test.thing"] });
    const first = await instance(bench, plan, {});
    await publish("during");
    await first.inbox.reach(6);
    await first.leave();
    await publish("away");
    const second = await instance(bench, plan, {});
    await second.inbox.reach(6);
    expect(new Set([...first.inbox.deliveries, ...second.inbox.deliveries].map(textOf))).toEqual(new Set(["during", "away"]));
    await second.leave();

    const admin = await bench.admin();
    await admin.createPartitions({ topicPartitions: [{ topic: `${bench.namePrefix}test.thing`, count: 4 }] });
    const producer = bench.kafka.producer();
    await producer.connect();
    // kafkajs leaves out what is for a partition that it does not know yet, and says that it was sent.
    await eventually("a record in the new partition", async () => {
      await producer.send({ topic: `${bench.namePrefix}test.thing`, messages: [{ partition: 3, value: "grown" }] });
      const offsets = await admin.fetchTopicOffsets(`${bench.namePrefix}test.thing`);
      return offsets.some(({ partition, high }) => partition === 3 && high !== "0");
    });
    await producer.disconnect();
    const third = await instance(bench, plan, {});
    expect((await third.inbox.reach(1)).map(textOf)).toContain("grown");
  });

  test("an endpoint can begin with all that is kept, or with what came after a time", async () => {
    const bench = new Bench(brokers);
    const publisher = await bench.port({ partitions: 2 });
    await publisher.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");
    await publisher.send(message({ event: "test.thing" }, "old"), message({ event: "test.thing" }, "old"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const time = new Date();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await publisher.send(message({ event: "test.thing" }, "young"), message({ event: "test.thing" }, "young"));

    const all = await instance(bench, bench.plan("all", { subscribed: ["test.thing"] }), { options: { from: "beginning" } });
    const some = await instance(bench, bench.plan("some", { subscribed: ["test.thing"] }), { options: { from: time } });
    expect((await all.inbox.reach(4)).map(textOf).sort()).toEqual(["old", "old", "young", "young"]);
    expect((await some.inbox.reach(2)).map(textOf)).toEqual(["young", "young"]);
  });

  test("of a topic that several types share an endpoint gets its own types, and what bears no type at all", async () => {
    const bench = new Bench(brokers);
    const options = { topics: { "test.thing": "things", "test.other": "things" }, partitions: 1 };
    const { port, inbox } = await instance(bench, bench.plan("audit", { subscribed: ["test.thing"] }), { options });
    const other = () => message({ event: "test.other" }, "other", { messageType: "test.other" });
    await port.send(other(), message({ event: "test.thing" }, "thing"), other());
    const producer = bench.kafka.producer();
    await producer.connect();
    await producer.send({
      topic: `${bench.namePrefix}things`,
      // As CloudEvents in binary mode name it.
      messages: [{ value: "of others", headers: { ce_type: "test.other" } }, { value: "without a type" }],
    });
    await producer.disconnect();
    await port.send(other(), message({ event: "test.thing" }, "last"));
    expect((await inbox.reach(3)).map(textOf)).toEqual(["thing", "without a type", "last"]);
  });

  test("an instance that handles one type more of a shared topic loses none to an older instance of the endpoint, which would pass it over", async () => {
    const bench = new Bench(brokers);
    const options = { topics: { "test.thing": "things", "test.other": "things" }, partitions: 4 };
    const older = await instance(bench, bench.plan("audit", { subscribed: ["test.thing"] }), { options });
    const newer = await instance(bench, bench.plan("audit", { subscribed: ["test.thing", "test.other"] }), { options });
    const others = Array.from({ length: 40 }, (_, i) =>
      message({ event: "test.other" }, `${i}`, { messageType: "test.other", partitionKey: `${i}` }),
    );
    await newer.port.send(...others);
    expect((await newer.inbox.reach(40)).map(textOf).sort()).toEqual(numbers(40).sort());
    expect(older.inbox.deliveries).toEqual([]);
    // The older one has its part again when it is alone.
    await newer.leave();
    await older.port.send(message({ event: "test.thing" }, "thing"));
    expect((await older.inbox.reach(1)).map(textOf)).toEqual(["thing"]);
  });

  test("records of others come as they are: without headers, without a value, with a key that is no text, with headers that bear names that every object knows", async () => {
    const bench = new Bench(brokers);
    const { inbox } = await instance(bench, bench.plan("shipping"), { options: { partitions: 1 } });
    const producer = bench.kafka.producer();
    await producer.connect();
    const key = Buffer.from([0xff, 0xfe, 0]);
    const strange: Message[] = [
      { value: "plain" },
      { value: null },
      { key, value: "keyed" },
      { value: "h", headers: { a: ["1", "2"], b: Buffer.from([0xff]) } },
      { value: "n", headers: { constructor: "c", toString: "t" } as unknown as IHeaders },
    ];
    await producer.send({ topic: `${bench.namePrefix}shipping`, messages: strange });
    await producer.disconnect();
    const deliveries = await inbox.reach(5);
    expect(deliveries.map(textOf)).toEqual(["plain", "", "keyed", "h", "n"]);
    expect(deliveries.map(({ properties }) => properties)).toEqual([{}, {}, {}, {}, {}]);
    expect(deliveries[4]?.headers).toEqual({ constructor: "c", toString: "t" });
    expect(deliveries[3]?.headers).toEqual({ a: "2", b: "\uFFFD" });
  });

  test("a retry comes after its delay, not before; the others flow meanwhile, and a topic of an earlier delay is read too", async () => {
    const bench = new Bench(brokers);
    const options = { partitions: 1 };
    const failure = { "tb-attempts": "1" } as const;
    const earlier = bench.plan("shipping", { retryDelaysMs: [1_000] });
    let retriedAt = 0;
    const retryFirst = (delay: number) => (delivery: Delivery) => {
      if (delivery.headers["tb-attempts"]) {
        delivery.complete();
        return;
      }
      retriedAt ||= Date.now();
      void delivery.retry(delay, failure);
    };
    const first = await instance(bench, earlier, { options, onDelivery: retryFirst(1_000) });
    await sendNumbers(first.port, "shipping", 0, 1);
    await first.inbox.reach(1);
    await eventually("the copy is stored", async () => (await bench.stored("shipping.retry.1s")).length === 1);
    await first.leave();
    expect(Date.now() - retriedAt).toBeLessThan(10_000);

    const times: [string, number][] = [];
    const later = bench.plan("shipping", { retryDelaysMs: [2_000] });
    const second = await instance(bench, later, {
      options,
      onDelivery: (delivery) => {
        times.push([`${textOf(delivery)}${delivery.headers["tb-attempts"] ? "'" : ""}`, Date.now()]);
        if (textOf(delivery) === "1") retryFirst(2_000)(delivery);
        else delivery.complete();
      },
    });
    const sentAt = Date.now();
    await sendNumbers(second.port, "shipping", 1, 200);
    await second.inbox.reach(202);
    const at = (text: string): number => times.find(([told]) => told === text)?.[1] ?? Number.NaN;
    expect(at("0'") - retriedAt).toBeGreaterThanOrEqual(1_000);
    expect(at("1'") - sentAt).toBeGreaterThanOrEqual(2_000);
    expect(at("50")).toBeLessThan(at("1'"));
    expect(second.inbox.deliveries.find(({ headers }) => headers["tb-due"])).toBeUndefined();
  });

  test("a topic that is deleted and made again is read from its new beginning", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("audit", { subscribed: ["test.thing"] });
    const { port, inbox } = await instance(bench, plan, { options: { partitions: 1 } });
    const publish = (text: string) => port.send(message({ event: "test.thing" }, text));
    for (let i = 0; i < 5; i++) await publish("old");
    await inbox.reach(5);
    await new Promise((resolve) => setTimeout(resolve, 500));

    const admin = await bench.admin();
    const topic = `${bench.namePrefix}test.thing`;
    await admin.deleteTopics({ topics: [topic] });
    // For a moment the broker still stores in the log that it is about to delete.
    await eventually("the old log is gone", async () => {
      if (!(await admin.listTopics()).includes(topic)) return true;
      const ends = await admin.fetchTopicOffsets(topic).catch(() => []);
      return ends.every(({ high }) => high === "0");
    });
    let sent = 0;
    await eventually(
      "the topic is there again",
      async () => {
        const [result] = await publish("new");
        if (result?.outcome === "sent") sent++;
        return sent === 5;
      },
      50_000,
    );
    await eventually(
      "all that was sent since",
      () => inbox.deliveries.filter((delivery) => textOf(delivery) === "new").length >= 5,
      50_000,
    );
  }, 120_000);

  test("a topic that is made again while nothing of it was ever handed over is read from its new beginning, not from where the old one ended", async () => {
    const bench = new Bench(brokers);
    const options = { partitions: 1 };
    const publisher = await bench.port(options);
    await publisher.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");
    await publisher.send(...Array.from({ length: 5 }, () => message({ event: "test.thing" }, "before the endpoint")));
    const { port, inbox } = await instance(bench, bench.plan("audit", { subscribed: ["test.thing"] }), { options });

    await (await bench.admin()).deleteTopics({ topics: [`${bench.namePrefix}test.thing`] });
    await eventually("the endpoint to miss it", () => port.statusOf("audit")?.status === "down", 50_000);
    await eventually("the endpoint to read it again", () => port.statusOf("audit")?.status === "up", 50_000);
    await eventually(
      "something to be sent",
      async () => (await publisher.send(message({ event: "test.thing" }, "probe")))[0]?.outcome === "sent",
      50_000,
    );
    const results = await publisher.send(...numbers(8).map((text) => message({ event: "test.thing" }, text)));
    expect(results.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 8 }, () => "sent"));

    await inbox.reach(9);
    expect(inbox.deliveries.map(textOf)).toEqual(["probe", ...numbers(8)]);
  }, 120_000);
});
