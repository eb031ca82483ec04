import { expect, test } from "vitest";
import type { SendResult } from "../../src/contracts/transport.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { eventually } from "./support/eventually.js";
import { Bench, message } from "./support/port.js";

const outcomes = (results: readonly SendResult[]): string[] => results.map(({ outcome }) => outcome);

function errorOf(result: SendResult | undefined): { code: string; retryable: boolean; message: string } {
  if (!result || result.outcome === "sent") throw new Error(`expected an error, got ${result?.outcome}`);
  return result.error;
}

/** A proxy before the broker, gone when the test ends. */
async function proxyTo(url: string): Promise<{ proxy: TcpProxy; url: string; [Symbol.asyncDispose](): Promise<void> }> {
  const target = new URL(url);
  const proxy = await TcpProxy.listen({ targetHost: target.hostname, targetPort: Number(target.port) });
  target.host = `127.0.0.1:${proxy.port}`;
  return { proxy, url: target.href, [Symbol.asyncDispose]: () => proxy.close() };
}

describeWithRabbitmq("sending", ({ url }) => {
  test("what is sent has its properties and headers in the broker's own fields, and is persistent", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const sent = message(
      { endpoint: "shipping" },
      "body",
      { messageId: "id-1", correlationId: "c-1", partitionKey: "k-1" },
      { tenant: "t-1" },
    );
    expect(await port.send(sent)).toEqual([{ outcome: "sent" }]);

    const stored = await (await bench.channel()).get(`${bench.namePrefix}shipping`, { noAck: true });
    if (!stored) throw new Error("nothing was stored");
    expect(stored.content.toString()).toBe("body");
    expect(stored.properties).toMatchObject({
      messageId: "id-1",
      correlationId: "c-1",
      type: "test.thing",
      contentType: "text/plain",
      deliveryMode: 2,
      headers: { tenant: "t-1", "tb-partition-key": "k-1" },
    });
  });

  test("a message without headers and key has no header of its own in the broker", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    await port.send(message({ endpoint: "shipping" }, "body"));

    const stored = await (await bench.channel()).get(`${bench.namePrefix}shipping`, { noAck: true });

    if (!stored) throw new Error("nothing was stored");
    // RabbitMQ 4 tells a count of nought by itself.
    expect(Object.keys(stored.properties.headers ?? {}).filter((name) => name !== "x-delivery-count")).toEqual([]);
  });

  test("a command to an endpoint that does not exist is refused as unroutable, and its neighbours are sent", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const results = await port.send(
      message({ endpoint: "shipping" }, "1"),
      message({ endpoint: "nobody" }, "2"),
      message({ endpoint: "shipping" }, "3"),
    );

    expect(outcomes(results)).toEqual(["sent", "refused", "sent"]);
    expect(errorOf(results[1])).toMatchObject({ code: "unroutable", retryable: false });
    expect(errorOf(results[1]).message).toContain(`"${bench.namePrefix}nobody"`);
  });

  test("of two messages with one id that are on their way at the same time each has its own outcome", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("here")] }, "create");
    const twice = { messageId: "the-same" };

    const results = await port.send(
      message({ endpoint: "here" }, "1", twice),
      message({ endpoint: "gone" }, "2", twice),
      message({ endpoint: "here" }, "3", twice),
      message({ endpoint: "gone" }, "4", twice),
      message({ endpoint: "here" }, "5", twice),
    );

    expect(outcomes(results)).toEqual(["sent", "refused", "sent", "refused", "sent"]);
    const inbox = await port.receive(bench.plan("here"));
    await inbox.reach(3);
    expect(inbox.texts).toEqual(["1", "3", "5"]);
    expect(inbox.deliveries.map(({ headers }) => headers)).toEqual([{}, {}, {}]);
    for (const delivery of inbox.deliveries) delivery.complete();
  });

  test("an event that nobody subscribed to is sent", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    bench.exchange("test.thing");
    await port.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");

    expect(outcomes(await port.send(message({ event: "test.thing" }, "1")))).toEqual(["sent"]);
  });

  test("a message over the broker's limit is refused before it is sent, and says both sizes", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    const large = { ...message({ endpoint: "shipping" }, ""), body: new Uint8Array(16 * 1024 * 1024 + 1) };

    const [result] = await port.send(large);

    expect(errorOf(result)).toMatchObject({ code: "too-large", retryable: false });
    expect(errorOf(result).message).toContain("16777217");
    expect(port.transport.capabilities.maxMessageBytes).toBe(16 * 1024 * 1024 - 8 * 1024);
  });

  test("headers beyond what a client can carry are refused as too large, and the connection stays", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const [result] = await port.send(message({ endpoint: "shipping" }, "1", {}, { large: "x".repeat(70_000) }));

    expect(errorOf(result)).toMatchObject({ code: "too-large", retryable: false });
    expect(outcomes(await port.send(message({ endpoint: "shipping" }, "2")))).toEqual(["sent"]);
  });

  test("properties that AMQP cannot hold are left to the envelope", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const results = await port.send(
      message({ endpoint: "shipping" }, "1", { messageId: "ü".repeat(128), correlationId: "c".repeat(256) }),
      message({ endpoint: "shipping" }, "2", { messageId: "ü".repeat(127) }),
    );

    expect(outcomes(results)).toEqual(["sent", "sent"]);
    const inbox = await port.receive(bench.plan("shipping"));
    const [first, second] = await inbox.reach(2);
    expect(first?.properties.messageId).toBeUndefined();
    expect(second?.properties.messageId).toBe("ü".repeat(127));
    for (const delivery of inbox.deliveries) delivery.complete();
  });

  test("10,000 messages in one call are all sent, and stand in the queue in their order", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const results = await port.send(...Array.from({ length: 10_000 }, (_, n) => message({ endpoint: "shipping" }, String(n))));

    expect(results.every(({ outcome }) => outcome === "sent")).toBe(true);
    const inbox = await port.receive(bench.plan("shipping"), 500);
    inbox.onDelivery = (delivery) => void delivery.complete();
    for (const delivery of inbox.deliveries) delivery.complete();
    await inbox.reach(10_000);
    expect(inbox.texts).toEqual(Array.from({ length: 10_000 }, (_, n) => String(n)));
  });

  test("messages of every size up to 2 MiB arrive byte for byte", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    const sizes = [0, 1, 2047, 2048, 131_063, 131_064, 131_065, 262_144, 2 * 1024 * 1024];
    const bodies = sizes.map((size) => Buffer.alloc(size, size % 251));

    await port.send(...bodies.map((body) => ({ ...message({ endpoint: "shipping" }, ""), body })));

    const inbox = await port.receive(bench.plan("shipping"), 20);
    const deliveries = await inbox.reach(sizes.length);
    expect(deliveries.every((delivery, n) => bodies[n]?.equals(delivery.body))).toBe(true);
    for (const delivery of deliveries) delivery.complete();
  });

  test("while there is no connection everything is refused at once, and sent again when it is back", async () => {
    const bench = new Bench(url);
    await using through = await proxyTo(url);
    const port = await bench.port({ url: through.url });
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    await through.proxy.apply({ type: "down" });
    await eventually("the publisher to be down", () => port.statusOf("publisher")?.status === "down");
    const [refused] = await port.send(message({ endpoint: "shipping" }, "1"));
    expect(refused?.outcome).toBe("refused");
    expect(errorOf(refused)).toMatchObject({ code: "unavailable", retryable: true });

    await through.proxy.remove("down");
    await eventually("the publisher to be up", () => port.statusOf("publisher")?.status === "up");
    expect(outcomes(await port.send(message({ endpoint: "shipping" }, "2")))).toEqual(["sent"]);
  });

  test("when a connection is cut with messages on it, those handed over are unknown, the rest refused, and memory stays bounded", async () => {
    const bench = new Bench(url);
    await using through = await proxyTo(url);
    const port = await bench.port({ url: through.url });
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    await through.proxy.apply({ type: "black-hole" });

    const sending = port.send(...Array.from({ length: 3_000 }, (_, n) => message({ endpoint: "shipping" }, String(n))));
    await through.proxy.apply({ type: "down" });
    const results = await sending;

    expect(outcomes(results.slice(0, 1_000)).every((outcome) => outcome === "unknown")).toBe(true);
    expect(outcomes(results.slice(1_000)).every((outcome) => outcome === "refused")).toBe(true);
    // A connection comes back, so none of them is given up for it.
    expect(new Set(results.map((result) => `${errorOf(result).code} ${errorOf(result).retryable}`))).toEqual(new Set(["unavailable true"]));
  });

  test("when the broker freezes, the caller's time ends with unknown for what was handed over and refused for the rest", async () => {
    const bench = new Bench(url);
    await using through = await proxyTo(url);
    const port = await bench.port({ url: through.url });
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    await through.proxy.apply({ type: "black-hole" });

    const messages = Array.from({ length: 1_500 }, (_, n) => message({ endpoint: "shipping" }, String(n)));
    const results = await port.transport.send(messages, AbortSignal.timeout(300));

    expect(outcomes(results.slice(0, 1_000)).every((outcome) => outcome === "unknown")).toBe(true);
    expect(outcomes(results.slice(1_000)).every((outcome) => outcome === "refused")).toBe(true);
    expect(errorOf(results[0])).toMatchObject({ code: "timeout", retryable: true });
    expect(errorOf(results[1_499])).toMatchObject({ code: "timeout", retryable: true });
  });

  test("many calls with one signal warn of no leak", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    const warnings: Error[] = [];
    const listen = (warning: Error): void => void warnings.push(warning);
    process.on("warning", listen);

    const signal = AbortSignal.timeout(20_000);
    await Promise.all(Array.from({ length: 50 }, (_, n) => port.transport.send([message({ endpoint: "shipping" }, String(n))], signal)));
    await new Promise((resolve) => setTimeout(resolve, 20));

    process.off("warning", listen);
    expect(warnings).toEqual([]);
  });

  test("an exchange that is not there refuses its own messages as unavailable, and others go on", { timeout: 60_000 }, async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    bench.exchange("test.lost");
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const [first] = await port.send(message({ event: "test.lost" }, "1"));
    expect(first?.outcome).toBe("refused");
    expect(errorOf(first)).toMatchObject({ code: "unavailable", retryable: true });
    expect(errorOf(first).message).toContain(`${bench.namePrefix}test.lost`);

    // The server closes the channel over it; what was on the channel then is unknown at worst, and goes when it is sent again.
    await eventually("a command to be sent", async () => outcomes(await port.send(message({ endpoint: "shipping" }, "2")))[0] === "sent");
    const [again] = await port.send(message({ event: "test.lost" }, "3"));
    expect(again?.outcome).toBe("refused");
    expect(outcomes(await port.send(message({ endpoint: "shipping" }, "4")))).toEqual(["sent"]);
  });

  test("nothing is called refused that was stored before its exchange was deleted", { timeout: 90_000 }, async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    const types = ["test.one", "test.two", "test.three"];
    const plan = bench.plan("shipping", { subscribed: types });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const raw = await bench.channel();

    for (const type of types) {
      const messages = Array.from({ length: 1_000 }, (_, n) => message({ event: type }, String(n)));
      const sending = port.send(...messages);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await raw.deleteExchange(`${bench.namePrefix}${type}`);
      const results = await sending;

      const refused = new Set(messages.filter((_, n) => results[n]?.outcome === "refused").map(({ properties }) => properties.messageId));
      for (;;) {
        const stored = await raw.get(`${bench.namePrefix}shipping`, { noAck: true });
        if (!stored) break;
        expect(refused).not.toContain(stored.properties.messageId);
      }
      await eventually("the publisher to have a channel again", () => port.statusOf("publisher")?.status !== "down");
    }
  });

  test("an exchange that was deleted is made anew with its bindings before messages go to it again", { timeout: 90_000 }, async () => {
    const bench = new Bench(url);
    const consumer = await bench.port();
    const plan = bench.plan("shipping", { subscribed: ["test.thing"] });
    await consumer.transport.provision({ events: [], endpoints: [plan] }, "create");
    const inbox = await consumer.receive(plan);
    const publisher = await bench.port();
    await publisher.transport.provision({ events: ["test.thing"], endpoints: [] }, "create");

    await (await bench.channel()).deleteExchange(`${bench.namePrefix}test.thing`);
    const [refused] = await publisher.send(message({ event: "test.thing" }, "1"));
    expect(refused?.outcome).toBe("refused");
    expect(publisher.statusOf("publisher")).toMatchObject({ status: expect.stringMatching(/degraded|down/) });
    await eventually(
      "the message to be sent",
      async () => outcomes(await publisher.send(message({ event: "test.thing" }, "2")))[0] === "sent",
      30_000,
    );

    const [delivery] = await inbox.reach(1);
    expect(inbox.texts).toEqual(["2"]);
    expect(publisher.statusOf("publisher")?.status).toBe("up");
    delivery?.complete();
  });

  test("close sends what is on its way and then closes both connections", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");

    const sending = port.send(...Array.from({ length: 2_000 }, (_, n) => message({ endpoint: "shipping" }, String(n))));
    await port.close();

    expect(new Set(outcomes(await sending))).toEqual(new Set(["sent"]));
    const [late] = await port.send(message({ endpoint: "shipping" }, "late"));
    expect(late?.outcome).toBe("refused");
  });
});
