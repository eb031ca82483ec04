import { expect, test } from "vitest";
import type { Delivery, EndpointPlan } from "../../src/contracts/transport.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { eventually } from "./support/eventually.js";
import { Bench, type Inbox, message, type Port, textOf } from "./support/port.js";

const texts = (count: number, from = 0): string[] => Array.from({ length: count }, (_, n) => String(n + from));

async function withLetters(bench: Bench, count: number): Promise<{ port: Port; plan: EndpointPlan }> {
  const plan = bench.plan("shipping");
  const port = await bench.port();
  await port.transport.provision({ events: [], endpoints: [plan] }, "create");
  await addLetters(bench, texts(count));
  return { port, plan };
}

async function addLetters(bench: Bench, bodies: readonly string[]): Promise<void> {
  const before = await bench.ready("shipping.dead-letter");
  const channel = await bench.channel();
  for (const body of bodies) channel.sendToQueue(`${bench.namePrefix}shipping.dead-letter`, Buffer.from(body), { persistent: true });
  await eventually("the letters to be stored", async () => (await bench.ready("shipping.dead-letter")) >= before + bodies.length);
  await channel.close();
}

/** Answers each letter as it comes. */
async function visit(port: Port, plan: EndpointPlan, answer: (delivery: Delivery) => void, prefetch = 5): Promise<Inbox> {
  const inbox = await port.receive(plan, prefetch, "dead-letter");
  inbox.onDelivery = answer;
  for (const delivery of inbox.deliveries) answer(delivery);
  await eventually("the visit to end", () => inbox.isExhausted, 90_000);
  return inbox;
}

describeWithRabbitmq("dead letters", ({ url }) => {
  test("an empty queue is exhausted at once", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 0);

    const inbox = await visit(port, plan, () => {});

    expect(inbox.deliveries).toEqual([]);
  });

  test("what is there at the call is visited once each, oldest first, and what comes meanwhile is not", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 30);
    const inbox = await port.receive(plan, 5, "dead-letter");
    await inbox.reach(5);
    await addLetters(bench, ["late"]);

    const complete = (delivery: Delivery): void => void delivery.complete();
    inbox.onDelivery = complete;
    for (const delivery of [...inbox.deliveries]) complete(delivery);
    await eventually("the visit to end", () => inbox.isExhausted);
    await inbox.close();

    expect(inbox.texts).toEqual(texts(30));
    expect(await bench.ready("shipping.dead-letter")).toBe(1);
  });

  test("letters that are kept stay in their place, for the next visit at once", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 10);
    const dropEven = (delivery: Delivery): void => {
      if (Number(textOf(delivery)) % 2 === 0) delivery.complete();
      else void delivery.release();
    };

    await (await visit(port, plan, dropEven)).close();
    await addLetters(bench, ["10", "11"]);
    const second = await visit(port, plan, (delivery) => void delivery.release());
    await second.close();
    const third = await visit(port, plan, (delivery) => void delivery.complete());
    await third.close();

    expect(second.texts).toEqual(["1", "3", "5", "7", "9", "10", "11"]);
    expect(third.texts).toEqual(second.texts);
    expect(await bench.ready("shipping.dead-letter")).toBe(0);
  });

  test("a letter may be looked at any number of times", { timeout: 60_000 }, async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 3);

    for (let look = 0; look < 60; look++) {
      const inbox = await visit(port, plan, (delivery) => void delivery.release());
      await inbox.close();
      expect(inbox.texts).toEqual(texts(3));
    }
  });

  test("never more than the prefetch are undecided", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 12);
    const inbox = await port.receive(plan, 4, "dead-letter");

    await inbox.reach(4);
    await inbox.deliveries[0]?.release();
    await inbox.reach(5);
    inbox.deliveries[3]?.complete();
    await inbox.reach(6);
    const before = performance.now();
    await inbox.close();

    expect(performance.now() - before).toBeLessThan(4_000);
    expect(inbox.texts).toEqual(texts(6));
    expect(await bench.ready("shipping.dead-letter")).toBe(11);
  });

  test("a visit that is cut off in the middle keeps every letter that was not completed", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 10);
    const inbox = await port.receive(plan, 4, "dead-letter");
    await inbox.reach(4);
    inbox.deliveries[1]?.complete();

    await inbox.receiver?.stop();
    await inbox.close();

    expect(inbox.deliveries[0]?.complete()).toBe("lost");
    const rest = await visit(port, plan, (delivery) => void delivery.release());
    expect(rest.texts).toEqual(["0", ...texts(8, 2)]);
  });

  test("a message of another client that is replayed has all that it came with, and nothing that was written on it since", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 0);
    const channel = await bench.channel();
    const foreign = {
      persistent: true,
      messageId: "m",
      type: "t",
      contentType: "application/json",
      contentEncoding: "gzip",
      correlationId: "c",
      replyTo: "answers",
      appId: "billing",
      timestamp: 1_700_000_000,
      priority: 7,
    };
    const headers = { count: 3, nested: { a: [1, "two"] }, "tb-partition-key": "k", "tb-header-x-death": "mine" };
    channel.sendToQueue(`${bench.namePrefix}shipping.dead-letter`, Buffer.from("x"), {
      ...foreign,
      headers: { ...headers, "tb-reason": "failed", "tb-attempts": "16" },
    });
    await eventually("it to be stored", async () => (await bench.ready("shipping.dead-letter")) === 1);
    const inbox = await port.receive(plan, 1, "dead-letter");
    const [letter] = await inbox.reach(1);
    if (!letter) throw new Error("there is no letter");

    const [result] = await port.send({ ...message({ endpoint: "shipping" }, "x"), replayOf: letter });

    expect(result?.outcome).toBe("sent");
    letter.complete();
    await inbox.close();
    const replayed = await channel.get(`${bench.namePrefix}shipping`, { noAck: true });
    if (!replayed) throw new Error("it was not replayed");
    const { persistent, ...same } = foreign;
    expect(replayed.properties).toMatchObject({ ...same, deliveryMode: persistent ? 2 : 1 });
    // The count of its deliveries is the broker's own.
    const { "x-delivery-count": _, ...kept } = replayed.properties.headers ?? {};
    expect(kept).toEqual(headers);
  });

  test("when the channel is lost the visit goes on, and no letter is visited twice", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 30);
    const inbox = await port.receive(plan, 5, "dead-letter");
    const held: Delivery[] = [];
    let isLost = false;
    const answer = (delivery: Delivery): void => {
      const n = Number(textOf(delivery));
      if (n === 12 && !isLost) {
        isLost = true;
        // A tag of the future: the broker closes the channel.
        (delivery as unknown as { held: { reject(tag: number): void } }).held.reject(1_000_000);
        held.push(delivery);
      } else if (n % 3 === 0) delivery.complete();
      else void delivery.release();
    };
    inbox.onDelivery = answer;
    for (const delivery of [...inbox.deliveries]) answer(delivery);
    await eventually("the visit to end", () => inbox.isExhausted, 40_000);
    await inbox.close();

    expect(new Set(inbox.texts).size).toBe(inbox.texts.length);
    expect(held[0]?.isLost).toBe(true);
    const rest = await visit(port, plan, (delivery) => void delivery.release());
    // Their order is not kept over a lost channel: RabbitMQ gives back what was fetched singly in an order of its own.
    expect(new Set(rest.texts)).toEqual(new Set(texts(30).filter((n) => Number(n) % 3 !== 0 || n === "12")));
    expect(rest.texts.length).toBe(21);
  });

  test("a visit that is stopped while there is no connection does not wait for one", async () => {
    const bench = new Bench(url);
    const { plan } = await withLetters(bench, 3);
    const port = await bench.mortalPort();
    const inbox = await port.receive(plan, 1, "dead-letter");
    await inbox.reach(1);

    await port.goOffline();
    // By the third try of both connections the visit waits for one.
    await eventually("some tries", () => port.log.filter((text) => text.includes("It is tried again")).length >= 6);

    await expect(inbox.receiver?.stop()).resolves.toBeUndefined();
    expect(port.log.filter((text) => text.includes("It goes on"))).toHaveLength(1);
  }, 10_000);

  test("letters that were kept before the channel was lost stay when all that come after it are completed", async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 20);
    let isLost = false;
    const answer = (delivery: Delivery): void => {
      if (isLost) delivery.complete();
      else if (Number(textOf(delivery)) < 9) void delivery.release();
      else {
        isLost = true;
        // A tag of the future: the broker closes the channel.
        (delivery as unknown as { held: { reject(tag: number): void } }).held.reject(1_000_000);
      }
    };

    const inbox = await visit(port, plan, answer, 1);
    await inbox.close();

    expect(inbox.deliveries.length).toBe(20);
    await eventually(
      "what was kept, and the one that was lost, to be there",
      async () => (await bench.ready("shipping.dead-letter")) === 10,
    );
    const rest = await visit(port, plan, (delivery) => void delivery.release());
    expect(new Set(rest.texts)).toEqual(new Set(texts(10)));
  });

  test("12,000 letters are visited in one call, and kept in their order, though so many are not held", { timeout: 120_000 }, async () => {
    const bench = new Bench(url);
    const { port, plan } = await withLetters(bench, 12_000);

    const inbox = await visit(port, plan, (delivery) => void delivery.release(), 50);
    const last = await (await bench.channel()).checkQueue(`${bench.namePrefix}shipping.dead-letter`);
    await inbox.close();

    expect(last.messageCount).toBe(2_000);
    expect(inbox.texts).toEqual(texts(12_000));
    expect(await bench.ready("shipping.dead-letter")).toBe(12_000);
  });
});
