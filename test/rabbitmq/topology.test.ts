import type { ChannelModel } from "amqplib";
import { expect, onTestFinished, test, vi } from "vitest";
import type { TransportError } from "../../src/contracts/transport.js";
import { loadClient } from "../../transports/rabbitmq/client.js";
import { ManagedConnection } from "../../transports/rabbitmq/connection.js";
import { Names } from "../../transports/rabbitmq/mapping.js";
import { openedInTime } from "../../transports/rabbitmq/open-channel.js";
import { resolveOptions } from "../../transports/rabbitmq/options.js";
import { applyTopology, type KeptChannel } from "../../transports/rabbitmq/topology.js";
import { topologyOf } from "../../transports/rabbitmq/topology-plan.js";
import { describeWithRabbitmq } from "../support/brokers.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { Bench, message, type Port } from "./support/port.js";
import { withUser } from "./support/users.js";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

async function errorOf(work: Promise<unknown>): Promise<TransportError> {
  try {
    await work;
  } catch (error) {
    return error as TransportError;
  }
  throw new Error("it should have failed");
}

async function outcome(port: Port, event: string): Promise<string | undefined> {
  return (await port.send(message({ event }, "x")))[0]?.outcome;
}

describeWithRabbitmq("topology", ({ url, managementUrl }) => {
  test("creating twice, and by many instances at once, is the same as once", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { subscribed: ["test.thing"], retryDelaysMs: [1_000] });
    const ports = await Promise.all(Array.from({ length: 6 }, () => bench.port()));

    await Promise.all(ports.map((port) => port.transport.provision({ events: ["test.thing"], endpoints: [plan] }, "create")));
    await ports[0]?.transport.provision({ events: ["test.thing"], endpoints: [plan] }, "create");
    await ports[0]?.transport.provision({ events: ["test.thing"], endpoints: [plan] }, "verify");

    const inbox = await ports[0]?.receive(plan);
    expect(ports[1] && (await outcome(ports[1], "test.thing"))).toBe("sent");
    const [delivery] = (await inbox?.reach(1)) ?? [];
    delivery?.complete();
  });

  test("what is made sure of again and again is so on one channel, which is opened anew only when it was closed", async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { subscribed: ["test.thing"] });
    const connection = new ManagedConnection(await loadClient(), resolveOptions({ url }), "topology", silent);
    await connection.open(AbortSignal.timeout(10_000));
    onTestFinished(() => connection.close(performance.now() + 5_000));
    const wanted = topologyOf({ events: [], endpoints: [plan] }, new Names(bench.namePrefix));
    const kept: KeptChannel = {};

    await applyTopology(connection, wanted, "create", silent, kept);
    const first = kept.channel;
    await applyTopology(connection, wanted, "create", silent, kept);
    expect(kept.channel).toBe(first);

    await first?.close();
    await applyTopology(connection, wanted, "create", silent, kept);
    expect(kept.channel).toBeDefined();
    expect(kept.channel).not.toBe(first);
  });

  test("a stop while the bindings are made sure of is no warning", { timeout: 30_000 }, async () => {
    const bench = new Bench(url);
    const plan = bench.plan("shipping", { subscribed: ["test.thing"] });
    const target = new URL(url);
    const proxy = await TcpProxy.listen({ targetHost: target.hostname, targetPort: Number(target.port || 5672) });
    onTestFinished(() => proxy.close());
    target.host = `127.0.0.1:${proxy.port}`;
    const port = await bench.port({ url: target.href });
    await port.transport.provision({ events: [], endpoints: [plan] }, "create");
    const inbox = await port.receive(plan);

    // So that the next look at the bindings, every 5 s, gets no answer.
    await proxy.apply({ type: "black-hole" });
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    await inbox.receiver?.close(performance.now() + 100);
    await port.transport.close(performance.now() + 100);
    await new Promise((resolve) => setTimeout(resolve, 100));

    expect(port.log.filter((line) => line.startsWith("warn"))).toEqual([]);
  });

  test("a channel that is opened too late is closed again", async () => {
    const bench = new Bench(url);
    const channel = await bench.channel();
    const closed = new Promise<string>((resolve) => channel.once("close", () => resolve("closed")));
    let open: (late: typeof channel) => void = () => {};
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const opening = openedInTime({} as ChannelModel, () => new Promise<typeof channel>((resolve) => (open = resolve)));
      const failing = expect(opening).rejects.toMatchObject({ code: "unavailable" });
      await vi.advanceTimersByTimeAsync(31_000);
      await failing;
    } finally {
      vi.useRealTimers();
    }

    open(channel);

    expect(await closed).toBe("closed");
  });

  test("a subscription that is given up ends, and what was there before stays", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping", { subscribed: ["test.a", "test.b"] })] }, "create");
    await port.transport.provision(
      { events: [], endpoints: [bench.plan("shipping", { subscribed: ["test.b"], unsubscribed: ["test.a", "test.never"] })] },
      "create",
    );

    expect([await outcome(port, "test.a"), await outcome(port, "test.b")]).toEqual(["sent", "sent"]);

    expect(await bench.ready("shipping")).toBe(1);
  });

  test("a queue that is there with other arguments fails, naming each, both values and what to do", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    const plan = bench.plan("shipping", { retryDelaysMs: [1_000] });
    const channel = await bench.channel();
    await channel.assertQueue(`${bench.namePrefix}shipping`, {
      arguments: {
        "x-queue-type": "quorum",
        "x-delivery-limit": 7,
        "x-dead-letter-exchange": "dlx",
        "x-dead-letter-strategy": "at-most-once",
        "x-max-length": 5,
      },
    });
    await channel.assertQueue(`${bench.namePrefix}shipping.retry.1s`, { arguments: { "x-queue-type": "quorum" } });

    for (const mode of ["create", "verify"] as const) {
      const error = await errorOf(port.transport.provision({ events: [], endpoints: [plan] }, mode));
      expect(error).toMatchObject({ code: "topology", retryable: false });
      expect(error.message).toContain(`queue "${bench.namePrefix}shipping" is there in another form`);
      expect(error.message).toContain('x-delivery-limit is "7" and should be "50"');
      expect(error.message).toContain('x-dead-letter-exchange is "dlx" and should be ""');
      expect(error.message).toContain('x-dead-letter-strategy is "at-most-once" and should be "at-least-once"');
      expect(error.message).toContain('x-overflow is not set and should be "reject-publish"');
      expect(error.message).toContain('x-max-length is "5" and should not be set');
      expect(error.message).toContain(`queue "${bench.namePrefix}shipping.retry.1s"`);
      expect(error.message).toContain('x-message-ttl is not set and should be "1000"');
      expect(error.message).toContain("empty and delete it");
    }
  });

  test("a classic queue, and an exchange of another type, are differences too", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    const channel = await bench.channel();
    await channel.assertQueue(`${bench.namePrefix}shipping`, { arguments: { "x-queue-type": "classic" } });
    await channel.assertExchange(bench.exchange("test.thing"), "topic", { durable: true });

    const error = await errorOf(port.transport.provision({ events: ["test.thing"], endpoints: [bench.plan("shipping")] }, "create"));

    expect(error.message).toContain('x-queue-type is "classic" and should be "quorum"');
    expect(error.message).toContain('type is "topic" and should be "fanout"');
  });

  test('another "order" fails and says to take another name', async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [bench.plan("billing", { order: "key" })] }, "create");

    const error = await errorOf(port.transport.provision({ events: [], endpoints: [bench.plan("billing")] }, "create"));

    expect(error.message).toContain('x-single-active-consumer is "true" and should not be set');
    expect(error.message).toContain("another name");
  });

  test("verify names everything that is missing at once, and makes nothing", async () => {
    const bench = new Bench(url);
    const port = await bench.port();
    const plan = bench.plan("shipping", { subscribed: ["test.thing"], retryDelaysMs: [1_000] });

    for (let time = 0; time < 2; time++) {
      const error = await errorOf(port.transport.provision({ events: [], endpoints: [plan] }, "verify"));
      expect(error.code).toBe("topology");
      for (const name of [
        "test.thing",
        "shipping",
        "shipping.dead-letter",
        "shipping.suspect",
        "shipping.suspect.runs",
        "shipping.retry.1s",
      ]) {
        expect(error.message).toContain(`"${bench.namePrefix}${name}" is not there`);
      }
    }
  });

  test.skipIf(managementUrl === undefined)(
    "a user who may not configure cannot create, can verify what is there, and can work with it",
    async () => {
      const bench = new Bench(url);
      const plan = bench.plan("shipping", { subscribed: ["test.thing"], retryDelaysMs: [1_000] });
      await using user = await withUser(url, managementUrl, { configure: "^$", write: ".*", read: ".*" });
      const port = await bench.port({ url: user.url });

      const error = await errorOf(port.transport.provision({ events: [], endpoints: [plan] }, "create"));
      expect(error).toMatchObject({ code: "topology", retryable: false });
      expect(error.message).toContain('the right "configure" is missing');
      expect(error.message).not.toContain(user.password);
      await (await bench.port()).transport.provision({ events: [], endpoints: [plan] }, "create");

      await port.transport.provision({ events: [], endpoints: [plan] }, "verify");
      const inbox = await port.receive(plan);
      expect(await outcome(port, "test.thing")).toBe("sent");
      const [delivery] = await inbox.reach(1);
      expect(await delivery?.retry(1_000, {})).toBe("settled");
      const [, again] = await inbox.reach(2);
      expect(await again?.deadLetter({})).toBe("settled");
    },
  );

  test.skipIf(managementUrl === undefined).each(["none", "key"] as const)(
    'a user who may not read is told so when receiving with order "%s" starts',
    async (order) => {
      const bench = new Bench(url);
      const plan = bench.plan("shipping", { order });
      await (await bench.port()).transport.provision({ events: [], endpoints: [plan] }, "create");
      await using user = await withUser(url, managementUrl, { configure: ".*", write: ".*", read: "^$" });
      const port = await bench.port({ url: user.url });

      const error = await errorOf(port.receive(plan));

      expect(error).toMatchObject({ code: "topology", retryable: false });
      expect(error.message).toContain('Grant the right "read"');
    },
  );
});
