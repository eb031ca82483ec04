import { describe, expect, onTestFinished, test } from "vitest";
import type { Delivery, EndpointPlan } from "../../src/contracts/transport.js";
import { createBus } from "../../src/index.js";
import { azureServiceBus } from "../../transports/azure-service-bus/index.js";
import { Bench, eventually, FAILURE, message, textOf } from "./support/bench.js";

const bench = await Bench.start();
const { broker } = bench;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each(["none", "key"] as const)('with order "%s"', (order) => {
  test("a handler that takes longer than the lock keeps its message, and nobody else gets it", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order }, 3_000);
    const [first, second] = [await port.receive(endpoint), await (await bench.port()).receive(endpoint)];
    await port.send(message({ endpoint: endpoint.name }, "long"));
    await eventually("the delivery", () => first.deliveries.length + second.deliveries.length === 1);
    const [delivery] = [...first.deliveries, ...second.deliveries];

    await pause(7_500);

    expect(delivery?.isLost).toBe(false);
    expect(delivery?.complete()).toBe("settled");
    await pause(1_000);
    expect(first.deliveries.length + second.deliveries.length).toBe(1);
  });

  test("a lock that ends in the middle of a handler is a lost delivery, and the message comes again without suspicion", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order });
    const inbox = await port.receive(endpoint, 1);
    await port.send(message({ endpoint: endpoint.name }, "once more"));

    for (let times = 1; times <= 4; times++) {
      const delivery = (await inbox.reach(times)).at(-1);
      expect(delivery?.suspicion).toBe("none");
      broker.namespace.expireLocks();
      delivery?.complete();
      await eventually("the loss", () => delivery?.isLost === true);
      expect(delivery?.lost.aborted).toBe(true);
    }
    const last = (await inbox.reach(5)).at(-1);
    expect(last?.complete()).toBe("settled");
  });

  test("what is released on purpose is not counted against a message, by whoever gets it next", async () => {
    const endpoint = bench.endpoint({ order });
    const port = await bench.port();
    await port.send(message({ endpoint: endpoint.name }, "to and fro"));
    for (let times = 0; times < 6; times++) {
      const other = await bench.port();
      const inbox = await other.receive(endpoint);
      const [delivery] = await inbox.reach(1);
      expect([delivery?.suspicion, delivery && textOf(delivery)]).toEqual(["none", "to and fro"]);
      const stopped = inbox.receiver?.stop();
      expect(await delivery?.release()).toBe("settled");
      await stopped;
      await inbox.close();
      await other.close();
    }
  });
});

test("no number of clean stops dead-letters a message that they gave back", async () => {
  const port = await bench.port();
  const endpoint: EndpointPlan = { name: bench.name("stops"), subscribed: [], unsubscribed: [], retryDelaysMs: [200], order: "none" };
  await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
  await port.send(message({ endpoint: endpoint.name }, "innocent"));
  for (let stops = 0; stops < 60; stops++) {
    const inbox = await port.receive(endpoint);
    const [delivery] = await inbox.reach(1);
    expect([stops, delivery?.suspicion]).toEqual([stops, "none"]);
    await inbox.receiver?.stop();
    await delivery?.release();
    await inbox.close();
  }
  expect(await port.letters(endpoint)).toEqual([]);
});

describe("what is in flight", () => {
  test.each([
    ["links are detached", () => broker.detachLinks()],
    ["connections are dropped", () => broker.dropConnections()],
  ])("is settled, and comes only once, though its %s", async (_, fault) => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const inbox = await port.receive(endpoint, 20);
    await port.send(...Array.from({ length: 10 }, (_, n) => message({ endpoint: endpoint.name }, `n${n}`)));
    const held = [...(await inbox.reach(10))];

    fault();
    await pause(300);
    for (const delivery of held) expect(delivery.complete()).toBe("settled");
    await port.send(message({ endpoint: endpoint.name }, "afterwards"));

    await eventually("what came afterwards", () => inbox.texts.includes("afterwards"));
    await pause(11_000);
    expect(inbox.texts.filter((text) => text !== "afterwards")).toHaveLength(10);
    await eventually("recovery", () => port.statusOf(endpoint.name)?.status === "up");
  });

  test("a retry and a dead letter that meet a dropped connection are tried until the broker has them", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const inbox = await port.receive(endpoint, 20);
    await port.send(message({ endpoint: endpoint.name }, "again"), message({ endpoint: endpoint.name }, "never"));
    const [first, second] = await inbox.reach(2);
    broker.dropConnections();
    const insist = async (delivery: Delivery | undefined, answer: (delivery: Delivery) => Promise<unknown>): Promise<void> => {
      if (!delivery) throw new Error("no delivery");
      await eventually("an answer", () =>
        answer(delivery).then(
          () => true,
          () => false,
        ),
      );
    };
    await insist(first, (delivery) => delivery.retry(200, FAILURE));
    await insist(second, (delivery) => delivery.deadLetter(FAILURE));

    const again = (await inbox.reach(3)).at(-1);
    expect([again && textOf(again), again?.headers["tb-attempts"]]).toEqual([first && textOf(first), "1"]);
    again?.complete();
    const letters = await port.letters(endpoint);
    expect(letters.map((letter) => [textOf(letter), letter.headers["tb-error-message"]])).toEqual([
      [second && textOf(second), FAILURE["tb-error-message"]],
    ]);
  });
});

describe.each(["none", "key"] as const)('with order "%s"', (order) => {
  test("deliveries that are settled in one turn of the event loop each have the outcome that they were given", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order });
    const inbox = await port.receive(endpoint, 64);
    const texts = Array.from({ length: 12 }, (_, n) => `n${n}`);
    await port.send(...texts.map((text) => message({ endpoint: endpoint.name }, text, { partitionKey: "k" })));
    const held = await inbox.reach(12);
    const answers = held.map((delivery, n) => (n % 3 === 0 ? delivery.complete() : delivery.deadLetter(FAILURE)));
    expect(await Promise.all(answers)).toEqual(texts.map(() => "settled"));
    const letters = await port.letters(endpoint);
    expect(letters.map(textOf)).toEqual(held.map(textOf).filter((_, n) => n % 3 !== 0));
  });
});

describe("a throttled namespace", () => {
  test("refuses for certain, says so in health, and takes messages again later", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    await port.send(message({ endpoint: endpoint.name }, "before"));
    broker.namespace.throttle(1_000);
    const [result] = await port.send(message({ endpoint: endpoint.name }, "meanwhile"));
    expect(result).toMatchObject({ outcome: "refused", error: { code: "unavailable", retryable: true } });
    expect(result?.outcome !== "sent" && result?.error.message).toMatch(/ServerBusy/);
    expect(port.statusOf("publisher")?.status).toBe("degraded");
    await pause(1_100);
    expect(await port.send(message({ endpoint: endpoint.name }, "after"))).toEqual([{ outcome: "sent" }]);
    expect(port.statusOf("publisher")?.status).toBe("up");
  });
});

describe("a network that takes and gives nothing", () => {
  test("is noticed by requests that are not answered, and the connection is made anew", { timeout: 90_000 }, async () => {
    const port = await bench.mortalPort({ operationTimeout: "2s" });
    const endpoint = bench.endpoint();
    const inbox = await port.receive(endpoint, 20);
    inbox.onDelivery = (delivery) => delivery.complete();
    await port.send(message({ endpoint: endpoint.name }, "before"));
    await inbox.reach(1);

    await port.proxy?.apply({ type: "black-hole" });
    const outcomes: string[] = [];
    for (let n = 0; n < 3; n++)
      outcomes.push(...(await port.send(message({ endpoint: endpoint.name }, `lost ${n}`))).map(({ outcome }) => outcome));
    expect(outcomes).not.toContain("sent");
    await port.proxy?.heal();
    // The old connections stay dead: only new ones go through.

    await eventually(
      "publishing to go on",
      async () => (await port.send(message({ endpoint: endpoint.name }, "after")))[0]?.outcome === "sent",
    );
    await eventually("receiving to go on", () => inbox.texts.includes("after"), 60_000);
  });

  test("costs no message its lock, though nothing is sent and there is no room for more: the renewals notice it", async () => {
    const port = await bench.mortalPort({ operationTimeout: "2s", lockDuration: "15s" });
    const endpoint = bench.endpoint({}, 15_000);
    await port.send(message({ endpoint: endpoint.name }, "first"), message({ endpoint: endpoint.name }, "second"));
    const inbox = await port.receive(endpoint, 2);
    const held = [...(await inbox.reach(2))];

    port.proxy?.forgetConnections();
    await pause(17_000);

    expect(held.map((delivery) => [delivery.isLost, delivery.complete()])).toEqual([
      [false, "settled"],
      [false, "settled"],
    ]);
    await eventually("an empty queue", () => broker.namespace.findQueue(endpoint.name)?.peek(0n, 1).length === 0);
    expect(inbox.deliveries).toHaveLength(2);
  });
});

test("a message of another client that leaves no room for what a retry adds is dead-lettered, and its neighbours go on", async () => {
  const service = bench.name("large");
  class Noted {
    static readonly messageType = "tests.noted";
    constructor(readonly text: string) {}
  }
  const bus = createBus({
    service,
    transport: azureServiceBus({ ...broker.options }),
    retry: { immediate: 0, delays: ["1s"] },
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  onTestFinished(() => bus.stop());
  const handled: number[] = [];
  bus.subscribe(Noted, ({ text }) => {
    handled.push(text.length);
    if (text.length > 1_000) throw new Error("no");
  });
  await bus.start();
  const body = { specversion: "1.0", id: "1", source: "/tests", type: "tests.noted", data: { text: "x".repeat(250_000) } };
  await bench
    .client()
    .createSender(service)
    .sendMessages({
      body: Buffer.from(JSON.stringify(body)),
      contentType: "application/cloudevents+json",
      messageId: "1",
      sessionId: "1",
      applicationProperties: { note: "y".repeat(262_144 - 250_000 - 400) },
    });

  await eventually("the dead letter", () => bus.health().endpoints[0]?.counts.deadLettered === 1);
  await bus.send(service, new Noted("small"));
  await eventually("its neighbour", () => handled.includes(5));
  expect(bus.health().endpoints[0]).toMatchObject({ status: "up", counts: { handled: 1, retried: 0, deadLettered: 1 } });
  expect(
    await bus.deadLetters().process(({ failure, body: { length } }) => (failure.reason === "failed" && length > 250_000 ? "drop" : "keep")),
  ).toEqual({
    replayed: 0,
    dropped: 1,
    kept: 0,
  });
});
