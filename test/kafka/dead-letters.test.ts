import { CompressionTypes } from "kafkajs";
import { expect, test } from "vitest";
import type { Delivery } from "../../src/contracts/transport.js";
import { describeWithKafka } from "../support/brokers.js";
import { instance, numbers, sendNumbers, textOf } from "./support/endpoint.js";
import { eventually } from "./support/eventually.js";
import { Bench, type Inbox, type Port } from "./support/port.js";

const failure = { "tb-reason": "failed", "tb-attempts": "16" } as const;
const sorted = (texts: readonly string[]): string[] => texts.toSorted((a, b) => Number(a) - Number(b));

/** An endpoint all of whose messages were given up, with as many letters. */
async function letters(bench: Bench, count: number, partitions: number): Promise<Port> {
  const plan = bench.plan("shipping");
  const onDelivery = (delivery: Delivery): void => void delivery.deadLetter(failure);
  const { port, inbox } = await instance(bench, plan, { options: { partitions }, onDelivery });
  await sendNumbers(port, "shipping", 0, count);
  await inbox.reach(count);
  await eventually("all letters are stored", async () => (await bench.stored("shipping.dead-letter")).length === count);
  return port;
}

/** One look through the letters. @returns what was visited */
async function visit(bench: Bench, port: Port, decide: (delivery: Delivery) => void, prefetch = 4): Promise<Inbox> {
  const inbox = await port.receive(bench.plan("shipping"), prefetch, "dead-letter", decide);
  await eventually("the visit is over", () => inbox.isExhausted, 30_000);
  return inbox;
}

const drop = (delivery: Delivery): void => void delivery.complete();

describeWithKafka("dead letters", ({ brokers }) => {
  test("a visit meets each letter once, with the failure that was attached; what is kept is there for the next, and what is not is deleted", async () => {
    const bench = new Bench(brokers);
    const port = await letters(bench, 50, 3);
    const first = await visit(bench, port, (delivery) => {
      if (Number(textOf(delivery)) % 5 === 0) void delivery.release();
      else delivery.complete();
    });
    expect(sorted(first.deliveries.map(textOf))).toEqual(numbers(50));
    expect(first.deliveries[0]?.headers).toEqual(failure);
    await eventually("what was kept is stored again", async () => (await bench.stored("shipping.dead-letter")).length >= 10);
    await first.close();
    expect(sorted((await bench.stored("shipping.dead-letter")).map(({ value }) => value ?? ""))).toEqual(
      numbers(10).map((text) => String(Number(text) * 5)),
    );

    const second = await visit(bench, port, drop);
    expect(sorted(second.deliveries.map(textOf))).toEqual(numbers(10).map((text) => String(Number(text) * 5)));
    await second.close();
    expect(await bench.stored("shipping.dead-letter")).toEqual([]);

    const third = await visit(bench, port, drop);
    expect(third.deliveries).toEqual([]);
    await third.close();
  }, 60_000);

  test("what a visit has not decided about when it ends is there for the next", async () => {
    const bench = new Bench(brokers);
    const port = await letters(bench, 20, 1);
    const first = await port.receive(bench.plan("shipping"), 4, "dead-letter", (delivery) => {
      if (Number(textOf(delivery)) < 5) delivery.complete();
    });
    await first.reach(9);
    expect(first.isExhausted).toBe(false);
    await first.close();
    const second = await visit(bench, port, drop);
    expect(sorted(second.deliveries.map(textOf))).toEqual(numbers(20).slice(5));
    await second.close();
  }, 60_000);

  test("two visitors at the same time lose no letter: each is decided about, or is there for the next", async () => {
    const bench = new Bench(brokers);
    const port = await letters(bench, 100, 4);
    const decided = new Set<string>();
    const slowly = (delivery: Delivery): void => {
      setTimeout(() => {
        if (delivery.complete() === "settled") decided.add(textOf(delivery));
      }, 20);
    };
    const visits = [visit(bench, port, slowly), visit(bench, await bench.port({ partitions: 4 }), slowly)];
    for (const inbox of await Promise.all(visits)) {
      await eventually("all are decided about", () =>
        inbox.deliveries.every(({ isLost }, i) => isLost || decided.has(textOf(inbox.deliveries[i] as Delivery))),
      );
      await inbox.close();
    }
    const last = await visit(bench, port, drop);
    for (const delivery of last.deliveries) decided.add(textOf(delivery));
    await last.close();
    expect(sorted([...decided])).toEqual(numbers(100));
    expect(await bench.stored("shipping.dead-letter")).toEqual([]);
  }, 90_000);

  test("a visit ends where the topic does not end with a letter, but with marks of transactions and what was aborted", async () => {
    const bench = new Bench(brokers);
    const port = await letters(bench, 0, 1);
    const topic = `${bench.namePrefix}shipping.dead-letter`;
    const producer = bench.kafka.producer({ idempotent: true, transactionalId: `${bench.namePrefix}letters`, maxInFlightRequests: 1 });
    await producer.connect();
    const write = async (end: number, ...texts: string[]): Promise<void> => {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: texts.map((value) => ({ value })) });
      await (texts.includes("aborted") ? transaction.abort() : transaction.commit());
      const admin = await bench.admin();
      await eventually("the mark to be written", async () => Number((await admin.fetchTopicOffsets(topic))[0]?.high) === end);
    };
    await write(3, "0", "1");
    const keepFirst = (delivery: Delivery): void => void (textOf(delivery) === "0" ? delivery.release() : delivery.complete());
    const first = await visit(bench, port, keepFirst, 1);
    expect(first.deliveries.map(textOf)).toEqual(["0", "1"]);
    await first.close();

    await write(6, "aborted");
    const second = await visit(bench, port, drop);
    expect(second.deliveries.map(textOf)).toEqual(["0"]);
    await second.close();

    await write(8, "aborted");
    const third = await visit(bench, port, drop);
    expect(third.deliveries).toEqual([]);
    await third.close();
    await producer.disconnect();
  }, 60_000);

  test("what somebody sent compressed, and is larger than a topic takes when it is not, is retried, given up and kept like any other", async () => {
    const bench = new Bench(brokers);
    const plan = bench.plan("shipping", { retryDelaysMs: [300] });
    const onDelivery = (delivery: Delivery): void =>
      void (delivery.headers["tb-attempts"] ? delivery.deadLetter(failure) : delivery.retry(300, { "tb-attempts": "1" }));
    const { port, inbox } = await instance(bench, plan, { options: { partitions: 1 }, onDelivery });
    const value = Buffer.alloc(3_000_000, "large");
    const producer = bench.kafka.producer();
    await producer.connect();
    await producer.send({ topic: `${bench.namePrefix}shipping`, compression: CompressionTypes.GZIP, messages: [{ value }] });
    await producer.disconnect();
    await inbox.reach(2);

    await eventually("the letter", async () => (await bench.stored("shipping.dead-letter")).length === 1);
    for (const decide of [(letter: Delivery) => letter.release(), (letter: Delivery) => letter.complete()]) {
      const decided: unknown[] = [];
      const visited = await visit(bench, port, (letter) => void decided.push(decide(letter)));
      expect(visited.deliveries.map(({ body }) => value.equals(body))).toEqual([true]);
      expect(visited.deliveries[0]?.headers).toEqual(failure);
      expect(await Promise.all(decided)).toEqual(["settled"]);
      await visited.close();
    }
  }, 60_000);
});
