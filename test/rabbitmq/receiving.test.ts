import type { Channel } from "amqplib";
import { expect, onTestFinished, test } from "vitest";
import type { Delivery } from "../../src/contracts/transport.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { eventually } from "./support/eventually.js";
import { Bench, type Inbox, message, textOf } from "./support/port.js";

function at(inbox: Inbox, index: number): Delivery {
  const delivery = inbox.deliveries[index];
  if (!delivery) throw new Error(`there is no delivery ${index}`);
  return delivery;
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

describeWithRabbitmq("receiving", ({ url }) => {
  test("deliveries that are settled in any order are each answered, and those that are not come again", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(...numbers(40).map((n) => message({ endpoint: "shipping" }, n)));
    const inbox = await port.receive(plan, 40);
    await inbox.reach(40);

    const kept = new Set([3, 4, 17, 39]);
    const order = numbers(40)
      .map(Number)
      .filter((n) => !kept.has(n))
      .sort((a, b) => ((a * 7) % 41) - ((b * 7) % 41));
    for (const [index, n] of order.entries()) {
      expect(at(inbox, n).complete()).toBe("settled");
      if (index % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await inbox.close();

    const again = await port.receive(plan, 40);
    await again.reach(4);
    expect(again.texts).toEqual(["3", "4", "17", "39"]);
    for (const delivery of again.deliveries) delivery.complete();
    await again.close();
    expect(await bench.ready("shipping")).toBe(0);
  });

  test("a delivery that nobody settles holds up none of those after it", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const inbox = await port.receive(plan, 5);
    inbox.onDelivery = (delivery) => {
      if (textOf(delivery) !== "0") delivery.complete();
    };
    await port.send(...numbers(500).map((n) => message({ endpoint: "shipping" }, n)));

    await inbox.reach(500);

    expect(inbox.texts).toEqual(numbers(500));
    expect(at(inbox, 0).complete()).toBe("settled");
    await inbox.close();
    expect(await bench.ready("shipping")).toBe(0);
  });

  test("a prefetch that AMQP has no number for fails the start of the receiver, and the largest that it has does not", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");

    await expect(port.receive(plan, 65_536)).rejects.toMatchObject({ code: "configuration", retryable: false });

    await port.receive(plan, 65_535);
  });

  test("never more than the prefetch are held", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(...numbers(20).map((n) => message({ endpoint: "shipping" }, n)));
    const inbox = await port.receive(plan, 7);

    await inbox.reach(7);
    await eventually("the rest to wait in the queue", async () => (await bench.ready("shipping")) === 13);
    at(inbox, 6).complete();
    await inbox.reach(8);

    expect(inbox.deliveries.length).toBe(8);
    expect(await bench.ready("shipping")).toBe(12);
  });

  test("a second verb on a delivery throws", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(message({ endpoint: "shipping" }, "1"));
    const inbox = await port.receive(plan);
    await inbox.reach(1);
    at(inbox, 0).complete();

    expect(() => at(inbox, 0).complete()).toThrow("settled already");
    await expect(at(inbox, 0).retry(100, {})).rejects.toThrow("settled already");
    await expect(at(inbox, 0).deadLetter({})).rejects.toThrow("settled already");
    await expect(at(inbox, 0).release()).rejects.toThrow("settled already");
  });

  test("a retry comes back not before its time, with body, properties and headers as they were, and the failure beside them", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [1_000] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const sent = message({ endpoint: "shipping" }, "body", { partitionKey: "k" }, { tenant: "t-1" });
    await port.send(sent);
    const inbox = await port.receive(plan);
    await inbox.reach(1);

    const before = performance.now();
    expect(await at(inbox, 0).retry(1_000, { "tb-attempts": "4" })).toBe("settled");
    await inbox.reach(2);

    expect(performance.now() - before).toBeGreaterThanOrEqual(1_000);
    const again = at(inbox, 1);
    expect(textOf(again)).toBe("body");
    expect(again.properties).toEqual(sent.properties);
    expect(again.headers).toEqual({ tenant: "t-1", "tb-attempts": "4" });
    expect(again.suspicion).toBe("none");
    again.complete();
    await inbox.close();
    expect(await bench.ready("shipping")).toBe(0);
  });

  test("a retry with a delay that was not planned rejects, and the delivery can still be settled", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [1_000] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(message({ endpoint: "shipping" }, "1"));
    const inbox = await port.receive(plan);
    await inbox.reach(1);

    await expect(at(inbox, 0).retry(5_000, {})).rejects.toThrow("5000 ms");
    expect(at(inbox, 0).complete()).toBe("settled");
  });

  test("a wait queue or a dead-letter queue that was deleted is made anew, and the message is not lost", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [100] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(message({ endpoint: "shipping" }, "1"));
    const inbox = await port.receive(plan);
    await inbox.reach(1);
    const channel = await bench.channel();
    await channel.deleteQueue(`${bench.namePrefix}shipping.retry.100ms`);
    await channel.deleteQueue(`${bench.namePrefix}shipping.dead-letter`);

    expect(await at(inbox, 0).retry(100, {})).toBe("settled");
    await inbox.reach(2);
    expect(await at(inbox, 1).deadLetter({ "tb-reason": "failed" })).toBe("settled");

    expect(await bench.ready("shipping.dead-letter")).toBe(1);
  });

  test("where the topology is not ours to make, a retry without its queue rejects, and the delivery is still held", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [100] });
    await (await bench.port()).transport.provision({ events: [], endpoints: [plan] }, "create");
    const port = await bench.port();
    await port.send(message({ endpoint: "shipping" }, "1"));
    const inbox = await port.receive(plan);
    await inbox.reach(1);
    await (await bench.channel()).deleteQueue(`${bench.namePrefix}shipping.retry.100ms`);

    await expect(at(inbox, 0).retry(100, {})).rejects.toMatchObject({ code: "unroutable" });
    await expect(at(inbox, 0).retry(100, {})).rejects.toMatchObject({ code: "unroutable" });

    expect(await at(inbox, 0).deadLetter({})).toBe("settled");
    expect(await bench.ready("shipping")).toBe(0);
  });

  test("details of a failure that do not fit are left out, never the message", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const large = "x".repeat(60_000);
    (await bench.channel()).sendToQueue(`${bench.namePrefix}shipping`, Buffer.from("1"), { persistent: true, headers: { large } });
    const inbox = await port.receive(plan);
    await inbox.reach(1);

    expect(await at(inbox, 0).deadLetter({ "tb-reason": "failed", "tb-stack": "s".repeat(8_000) })).toBe("settled");

    const letters = await port.receive(plan, 10, "dead-letter");
    await letters.reach(1);
    expect(at(letters, 0).headers).toEqual({ large, "tb-reason": "failed" });
    at(letters, 0).complete();
  });

  test("a message that no client can publish again is dead-lettered by the broker itself", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const large = sendLargestHeader(await bench.channel(), `${bench.namePrefix}shipping`);
    const inbox = await port.receive(plan);
    await inbox.reach(1);

    expect(await at(inbox, 0).deadLetter({ "tb-reason": "failed" })).toBe("settled");

    await eventually("the letter to arrive", async () => (await bench.ready("shipping.dead-letter")) === 1);
    const letters = await port.receive(plan, 10, "dead-letter");
    await letters.reach(1);
    expect(textOf(at(letters, 0))).toBe("1");
    expect(at(letters, 0).headers).toMatchObject({ large, "x-first-death-reason": "rejected" });
    at(letters, 0).complete();
  });

  test("a message that no client can publish again is not held for ever where it should be tried again, but dead-lettered", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [100] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const channel = await bench.channel();
    const queue = `${bench.namePrefix}shipping`;
    sendLargestHeader(channel, queue);
    // amqplib reads a table with this key, and takes it for a note of its own when it writes it again.
    const confusing = { "!": "object", value: { "!": "nonsense" } };
    for (const body of ["2", "3"]) channel.sendToQueue(queue, Buffer.from(body), { persistent: true, headers: { confusing } });
    const inbox = await port.receive(plan);
    await inbox.reach(3);

    expect(await at(inbox, 0).retry(100, { "tb-attempts": "1" })).toBe("settled");
    expect(await at(inbox, 1).retry(100, { "tb-attempts": "1" })).toBe("settled");
    expect(await at(inbox, 2).deadLetter({ "tb-reason": "undecodable" })).toBe("settled");

    await eventually("the letters to arrive", async () => (await bench.ready("shipping.dead-letter")) === 3);
    expect(port.log.filter((line) => line.startsWith("error: ")).length).toBe(3);
    const letters = await port.receive(plan, 10, "dead-letter");
    await letters.reach(3);
    expect(new Set(letters.texts)).toEqual(new Set(["1", "2", "3"]));
    for (const letter of letters.deliveries) letter.complete();
  });

  test("when the channel is lost, deliveries are lost, say so, and their messages come again", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [100] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(...numbers(4).map((n) => message({ endpoint: "shipping" }, n)));
    const inbox = await port.receive(plan, 4);
    await inbox.reach(4);
    const { lost } = at(inbox, 0);
    expect(lost.aborted).toBe(false);

    loseChannel(at(inbox, 3));
    await inbox.reach(8);

    expect(lost.aborted).toBe(true);
    expect(at(inbox, 1).lost.aborted).toBe(true);
    expect(at(inbox, 1).isLost).toBe(true);
    expect(at(inbox, 0).complete()).toBe("lost");
    expect(await at(inbox, 1).retry(100, {})).toBe("lost");
    expect(await at(inbox, 2).release()).toBe("lost");
    expect(inbox.texts.slice(4)).toEqual(["0", "1", "2", "3"]);
    for (const delivery of inbox.deliveries.slice(4)) expect(delivery.complete()).toBe("settled");
    await inbox.close();
    expect(await bench.ready("shipping")).toBe(0);
    expect(await bench.ready("shipping.retry.100ms")).toBe(0);
  });

  test("a channel that RabbitMQ closes in the middle of acknowledgements costs the other endpoints of the connection nothing", async () => {
    const bench = new Bench(url);
    const [busy, calm] = [bench.plan("shipping"), bench.plan("billing")];
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [busy, calm] }, "create");
    await port.send(message({ endpoint: "billing" }, "calm"), ...numbers(3_000).map((n) => message({ endpoint: "shipping" }, n)));
    const beside = await port.receive(calm);
    await beside.reach(1);
    const inbox = await port.receive(busy, 3_000);
    await inbox.reach(3_000);

    // The oldest stays, so that each is acknowledged by itself: whenever the channel ends, some of these are still to be sent.
    for (let n = 2_999; n > 0 && !at(inbox, n).isLost; n--) {
      if (n === 2_500) loseChannel(at(inbox, n));
      else at(inbox, n).complete();
      if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually("receiving to be begun anew", () => inbox.deliveries.length > 3_000);

    expect(at(beside, 0).isLost).toBe(false);
    expect(port.log.filter((text) => text.includes("connection to RabbitMQ is lost"))).toEqual([]);
  });

  test("a retry whose copy is on its way when the channel is lost says lost", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [100] });
    const target = new URL(url);
    const proxy = await TcpProxy.listen({ targetHost: target.hostname, targetPort: Number(target.port) });
    onTestFinished(() => proxy.close());
    target.host = `127.0.0.1:${proxy.port}`;
    const port = await bench.port({ url: target.href });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(message({ endpoint: "shipping" }, "1"));
    const inbox = await port.receive(plan);
    await inbox.reach(1);
    await proxy.apply({ type: "black-hole" });

    const retried = at(inbox, 0).retry(100, {});
    await inbox.receiver?.close(performance.now() + 200);
    await proxy.apply({ type: "down" });

    expect(await retried).toBe("lost");
  });

  test("a queue that is deleted under its consumer is made anew with its bindings, and receiving goes on", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { subscribed: ["test.thing"] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const inbox = await port.receive(plan);

    await (await bench.channel()).deleteQueue(`${bench.namePrefix}shipping`);
    await eventually("health to say it", () => port.statuses.some(({ part, status }) => part === "shipping" && status !== "up"));
    await eventually("the endpoint to be up", () => port.statusOf("shipping")?.status === "up");
    await port.send(message({ event: "test.thing" }, "1"));

    await inbox.reach(1);
    expect(inbox.texts).toEqual(["1"]);
    at(inbox, 0).complete();
  });

  test("where there is no queue and it is not ours to make, receiving fails and says so", async () => {
    const bench = new Bench(url);
    const port = await bench.port();

    await expect(port.receive(bench.plan("nobody"))).rejects.toMatchObject({ code: "topology", retryable: false });
    await expect(port.receive(bench.plan("nobody"))).rejects.toThrow(`"${bench.namePrefix}nobody" is not there`);
    await expect(port.receive(bench.plan("nobody"), 1, "dead-letter")).rejects.toMatchObject({ code: "topology" });
  });

  test("after stop nothing arrives, what is held can be settled, and what is released comes to another instance", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping");
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    await port.send(...numbers(3).map((n) => message({ endpoint: "shipping" }, n)));
    const inbox = await port.receive(plan, 3);
    await inbox.reach(3);

    const stopping = inbox.receiver?.stop();
    expect(inbox.receiver?.stop()).toBe(stopping);
    await stopping;
    await port.send(message({ endpoint: "shipping" }, "late"));
    expect(at(inbox, 0).complete()).toBe("settled");
    expect(await at(inbox, 1).release()).toBe("settled");

    const other = await (await bench.port()).receive(plan);
    await other.reach(2);
    expect(new Set(other.texts)).toEqual(new Set(["1", "late"]));
    expect(at(inbox, 2).complete()).toBe("settled");
    await inbox.close();
    for (const delivery of other.deliveries) delivery.complete();
    await other.close();
    expect(inbox.deliveries.length).toBe(3);
    expect(await bench.ready("shipping")).toBe(0);
  });

  test('with order "key" another instance gets nothing before the first has closed, and then everything in order', async () => {
    const bench = new Bench(url);
    const plan = bench.plan("billing", { order: "key" });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    for (const n of numbers(6)) await port.send(message({ endpoint: "billing" }, n, { partitionKey: "k" }));
    const first = await port.receive(plan, 4);
    await first.reach(4);
    const second = await (await bench.port()).receive(plan, 4);

    await first.receiver?.stop();
    at(first, 0).complete();
    await at(first, 2).release();
    expect(second.deliveries).toEqual([]);
    at(first, 1).complete();
    await first.close();

    await second.reach(4);
    expect(second.texts).toEqual(["2", "3", "4", "5"]);
    expect(first.deliveries.length).toBe(4);
    for (const delivery of second.deliveries) delivery.complete();
    await second.close();
    expect(await bench.ready("billing")).toBe(0);
  });

  test("messages of others, without any property of ours, are delivered as they are, and retried as they are", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { retryDelaysMs: [100] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const headers = {
      n: 1,
      yes: true,
      nothing: null,
      list: [1, "a"],
      table: { a: { b: 1 } },
      bytes: Buffer.from("é"),
      CC: ["elsewhere"],
      "tb-publish": "9",
    };
    const properties = {
      appId: "legacy",
      replyTo: "r",
      timestamp: 1_700_000_000,
      contentEncoding: "gzip",
      priority: 7,
      expiration: "60000",
      userId: "guest",
    };
    (await bench.channel()).sendToQueue(`${bench.namePrefix}shipping`, Buffer.from([0, 255, 1]), { ...properties, headers });
    const inbox = await port.receive(plan);
    await inbox.reach(1);

    expect(at(inbox, 0).properties).toEqual({});
    expect(at(inbox, 0).headers).toEqual({ n: "1", yes: "true", nothing: "null", list: '[1,"a"]', table: '{"a":{"b":1}}', bytes: "é" });
    await at(inbox, 0).retry(100, {});
    await inbox.reach(2);
    expect(at(inbox, 1).headers).toEqual(at(inbox, 0).headers);
    expect([...at(inbox, 1).body]).toEqual([0, 255, 1]);
    await at(inbox, 1).release();
    await inbox.close();

    const raw = await (await bench.channel()).get(`${bench.namePrefix}shipping`, { noAck: true });
    expect((raw || undefined)?.properties).toMatchObject({
      appId: "legacy",
      replyTo: "r",
      timestamp: 1_700_000_000,
      contentEncoding: "gzip",
      priority: 7,
      deliveryMode: 2,
    });
  });
});

/** Sends a message whose headers leave no room for another: as large as the client's own limit lets them be. */
function sendLargestHeader(channel: Channel, queue: string): string {
  for (let size = 65_536; size > 0; size--) {
    const large = "x".repeat(size);
    try {
      channel.sendToQueue(queue, Buffer.from("1"), { persistent: true, headers: { large } });
      return large;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  throw new Error("no header can be sent");
}

/** Makes the broker close the channel that a delivery came by: a tag of the future is answered on it. */
function loseChannel(delivery: Delivery): void {
  (delivery as unknown as { held: { reject(tag: number): void } }).held.reject(1_000_000);
}
