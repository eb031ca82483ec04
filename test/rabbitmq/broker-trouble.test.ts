import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { localPrograms } from "../../scripts/brokers.d/support/rabbitmq-programs.mjs";
import type { Delivery, EndpointPlan, SendResult } from "../../src/contracts/transport.js";
import { brokerScripts, type RabbitmqNode } from "../faults/transports/rabbitmq-control.js";
import { eventually } from "./support/eventually.js";
import { Bench, message, type Port, textOf } from "./support/port.js";
import { withUser } from "./support/users.js";

/** A broker of its own, since it is killed, frozen and starved. */
const PORT = 5696;

/** Sends numbered messages one after the other, again and again until each is sent, as the core does; counts what was acknowledged. */
class Publisher {
  readonly acknowledged: string[] = [];
  readonly #port: Port;
  readonly #endpoint: string;
  #isStopping = false;
  #run: Promise<void> | undefined;
  #next = 0;

  constructor(port: Port, endpoint: string) {
    this.#port = port;
    this.#endpoint = endpoint;
  }

  start(): void {
    this.#run = this.#publish();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#run;
  }

  async #publish(): Promise<void> {
    let waiting: string[] = [];
    while (!this.#isStopping || waiting.length > 0) {
      while (waiting.length < 20 && !this.#isStopping) waiting.push(String(this.#next++));
      const results: readonly SendResult[] = await this.#port.transport.send(
        waiting.map((text) => message({ endpoint: this.#endpoint }, text)),
        AbortSignal.timeout(5_000),
      );
      waiting = waiting.filter((text, index) => {
        if (results[index]?.outcome !== "sent") return true;
        this.acknowledged.push(text);
        return false;
      });
      await new Promise((resolve) => setTimeout(resolve, waiting.length > 0 ? 50 : 1));
    }
  }
}

describe.skipIf(localPrograms() === undefined)("a broker in trouble", () => {
  let broker: RabbitmqNode;

  beforeAll(async () => {
    broker = (await brokerScripts()).rabbitmqControl({ name: "rabbitmq-trouble", amqpPort: PORT });
    await broker.start();
  }, 120_000);
  afterAll(async () => {
    await broker.stop();
    await broker.stopHelpers();
    broker.deleteData();
  }, 60_000);

  // As the core does: what cannot be stored now is kept and tried again. Given back it would come back at once, again and again, up to the delivery limit.
  function retryUntilStored(delivery: Delivery): void {
    delivery.retry(100, { "tb-again": "1" }).catch(() => setTimeout(() => retryUntilStored(delivery), 100));
  }

  /** Publishes and consumes while `trouble` happens; afterwards everything acknowledged must have arrived. */
  async function comesThrough(trouble: () => Promise<void>): Promise<{ port: Port; plan: EndpointPlan }> {
    const bench = new Bench(broker.amqpUrl);
    const plan = bench.plan("shipping", { subscribed: ["test.thing"], retryDelaysMs: [100] });
    const port = await bench.port({ heartbeat: "2s" });
    onTestFailed(() => {
      process.stderr.write(`What the transport said:\n${port.log.join("\n")}\n${JSON.stringify(port.statuses.slice(-6))}\n`);
    });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const handled = new Set<string>();
    const inbox = await port.receive(plan, 50);
    inbox.onDelivery = (delivery) => {
      const text = textOf(delivery);
      // Some take the road of the delayed retry, so that its copies are on their way when trouble comes.
      if (Number(text) % 10 === 0 && delivery.headers["tb-again"] === undefined) {
        retryUntilStored(delivery);
      } else if (delivery.complete() === "settled") handled.add(text);
    };
    const publisher = new Publisher(port, "shipping");
    publisher.start();
    await eventually("the first to be handled", () => handled.size > 100);
    // RabbitMQ writes down half a second late which queues it has: one that is younger than that does not come back from a kill.
    await new Promise((resolve) => setTimeout(resolve, 2_000));

    await trouble();

    const before = handled.size;
    await eventually("messages to flow again", () => handled.size > before + 500, 60_000);
    await publisher.stop();
    await eventually("everything acknowledged to be handled", () => publisher.acknowledged.every((text) => handled.has(text)), 60_000);
    expect(port.statusOf("publisher")?.status).toBe("up");
    expect(port.statusOf("shipping")?.status).toBe("up");
    await inbox.close();
    expect(await bench.ready("shipping.suspect")).toBe(0);
    return { port, plan };
  }

  test("killed and restarted, nothing that was acknowledged is lost", { timeout: 180_000 }, async () => {
    const { port } = await comesThrough(async () => {
      await broker.kill();
      await broker.start();
    });
    expect(port.statuses.some(({ part, status }) => part === "publisher" && status === "down")).toBe(true);
    expect(port.statuses.some(({ part, status }) => part === "shipping" && status === "down")).toBe(true);
  });

  test("restarted politely, nothing that was acknowledged is lost", { timeout: 180_000 }, async () => {
    await comesThrough(() => broker.stop().then(() => broker.start()));
  });

  test("closing all connections five times loses nothing and makes nothing suspect", { timeout: 180_000 }, async () => {
    await comesThrough(async () => {
      for (let time = 0; time < 5; time++) {
        await broker.ctl("close_all_connections", "a fault on purpose");
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    });
  });

  test("frozen for longer than the heartbeat, nothing that was acknowledged is lost", { timeout: 180_000 }, async () => {
    await comesThrough(async () => {
      broker.freeze();
      await new Promise((resolve) => setTimeout(resolve, 9_000));
      broker.thaw();
    });
  });

  test("out of memory it blocks publishers: health says so, what waits is refused when its time ends, and goes on afterwards", {
    timeout: 120_000,
  }, async () => {
    const bench = new Bench(broker.amqpUrl);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    await broker.ctl("set_vm_memory_high_watermark", "0.0001");
    try {
      // The broker says that it blocks at the first publish after the alarm; that one is handed over already.
      const first = port.transport.send([message({ endpoint: "shipping" }, "first")], AbortSignal.timeout(60_000));
      await eventually("health to say it", () => port.statusOf("publisher")?.status === "degraded");
      expect(port.statusOf("publisher")?.reason).toMatch(/^blocked: .*memory/);

      const [late] = await port.transport.send([message({ endpoint: "shipping" }, "late")], AbortSignal.timeout(300));
      expect(late).toMatchObject({ outcome: "refused", error: { code: "timeout", retryable: true } });
      const waiting = port.transport.send([message({ endpoint: "shipping" }, "waits")], AbortSignal.timeout(60_000));
      await broker.ctl("set_vm_memory_high_watermark", "0.4");

      expect((await first)[0]?.outcome).toBe("sent");
      expect((await waiting)[0]?.outcome).toBe("sent");
      expect(port.statusOf("publisher")?.status).toBe("up");
    } finally {
      await broker.ctl("set_vm_memory_high_watermark", "0.4");
    }
    expect(await bench.ready("shipping")).toBe(2);
  });

  test("blocked, it closes by its deadline, and says of what waited that it was not stored", { timeout: 60_000 }, async () => {
    const bench = new Bench(broker.amqpUrl);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    await broker.ctl("set_vm_memory_high_watermark", "0.0001");
    try {
      const first = port.transport.send([message({ endpoint: "shipping" }, "first")], AbortSignal.timeout(60_000));
      await eventually("health to say it", () => port.statusOf("publisher")?.status === "degraded");
      const waiting = port.transport.send([message({ endpoint: "shipping" }, "waits")], AbortSignal.timeout(60_000));
      const began = performance.now();

      await port.transport.close(began + 1_000);

      expect(performance.now() - began).toBeLessThan(1_500);
      expect((await waiting)[0]).toMatchObject({ outcome: "refused", error: { retryable: true } });
      expect((await first)[0]?.outcome).toBe("unknown");
    } finally {
      await broker.ctl("set_vm_memory_high_watermark", "0.4");
    }
  });

  test("with the password changed for a while it is tried until it is right again, and the password is never told", {
    timeout: 120_000,
  }, async () => {
    const management = broker.amqpUrl.replace("amqp:", "http:").replace(String(PORT), String(PORT + 10_000));
    await using user = await withUser(broker.amqpUrl, management, { configure: ".*", write: ".*", read: ".*" });
    const bench = new Bench(broker.amqpUrl);
    const plan = bench.plan("shipping");
    const port = await bench.port({ url: user.url });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const inbox = await port.receive(plan);

    await user.changePassword("another");
    await broker.ctl("close_all_connections", "a fault on purpose");
    await eventually("health to say it", () => port.statusOf("publisher")?.reason?.includes("refused the login") === true);
    expect((await port.send(message({ endpoint: "shipping" }, "1")))[0]?.outcome).toBe("refused");
    await user.changePassword(user.password);
    await eventually(
      "both to be up",
      () => port.statusOf("publisher")?.status === "up" && port.statusOf("shipping")?.status === "up",
      40_000,
    );

    await port.send(message({ endpoint: "shipping" }, "2"));
    await inbox.reach(1);
    inbox.deliveries[0]?.complete();
    expect([...port.log, ...port.statuses.map(({ reason }) => reason)].join("\n")).not.toContain(user.password);
  });

  test("a limit of the broker's that is lower than ours is learnt from the first message that breaks it", {
    timeout: 120_000,
  }, async () => {
    const bench = new Bench(broker.amqpUrl);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    await broker.ctl("eval", "application:set_env(rabbit, max_message_size, 100000).");
    // Read by a connection's channel when it opens.
    await broker.ctl("close_all_connections", "so that the limit is read");
    await eventually(
      "the publisher to be back",
      () => port.statuses.filter(({ part, status }) => part === "publisher" && status === "up").length >= 2,
    );
    try {
      const large = { ...message({ endpoint: "shipping" }, ""), body: new Uint8Array(100_001) };
      const [result] = await port.send(large);
      expect(result).toMatchObject({ outcome: "refused", error: { code: "too-large", retryable: false } });

      const [again] = await port.send(large);
      expect(again).toMatchObject({ outcome: "refused", error: { code: "too-large" } });
      await eventually(
        "a small one to be sent",
        async () => (await port.send(message({ endpoint: "shipping" }, "small")))[0]?.outcome === "sent",
      );
      expect(port.transport.capabilities.maxMessageBytes).toBe(100_000 - 8 * 1024);
    } finally {
      await broker.ctl("eval", "application:set_env(rabbit, max_message_size, 134217728).");
    }
  });
});
