import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createBus } from "../../src/index.js";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import { azureServiceBus } from "../../transports/azure-service-bus/index.js";
import { sessionOf } from "../../transports/azure-service-bus/mapping.js";
import { compileMortalConsumer, keepAlive } from "./mortal-consumer/index.js";
import { type Deed, Step } from "./mortal-consumer/options.js";
import { Bench, eventually, message, type Port, textOf } from "./support/bench.js";

const bench = await Bench.start();

/** Keys that have one session, the first of them `key`. */
function neighbours(key: string, count: number): readonly string[] {
  const keys = [key];
  for (let i = 0; keys.length < count; i++) if (sessionOf(`${key}${i}`) === sessionOf(key)) keys.push(`${key}${i}`);
  return keys;
}

const [A = "", B = "", C = ""] = neighbours("k", 3);

async function sendTo(port: Port, endpoint: string, ...texts: readonly (readonly [text: string, key: string])[]): Promise<void> {
  for (const [text, partitionKey] of texts) await port.send(message({ endpoint }, text, { partitionKey }));
}

/** A session as the broker has it, which must be free. */
async function lookAt(queue: string): Promise<{ state: unknown; deliveryCount: number | undefined }> {
  const session = await bench.client().acceptSession(queue, sessionOf(A), { maxAutoLockRenewalDurationInMs: 0 });
  try {
    const [first] = await session.peekMessages(1);
    return { state: await session.getSessionState(), deliveryCount: first?.deliveryCount };
  } finally {
    await session.close();
  }
}

describe('with order: "key" a message that kills its process', () => {
  beforeAll(() => compileMortalConsumer());

  /** Runs consumers until the killer is found out and all others that can pass have. */
  async function survive(steps: readonly (readonly [name: string, key: string, deed: Deed])[], mostDeaths: number) {
    const able = steps.filter(([, , deed]) => deed === "pass").map(([name]) => name);
    const transport = bench.broker.options;
    const endpoint = bench.name("steps");
    const bus = createBus({ service: "sender", transport: azureServiceBus(transport) });
    onTestFinished(() => bus.stop());
    bench.broker.namespace.createQueue(endpoint, {
      lockDuration: 10_000,
      requiresSession: true,
      maxDeliveryCount: 50,
      deadLetteringOnMessageExpiration: true,
    });
    await bus.start();
    for (const [name, partitionKey, deed] of steps) await bus.send(endpoint, new Step(name, deed), { partitionKey });
    // A receiver goes on where its last look ended.
    const letters = bench.client().createReceiver(endpoint, { subQueueType: "deadLetter" });
    const found: unknown[] = [];
    const { deaths } = await keepAlive(
      { transport, endpoint },
      async (names) => {
        for (const { body, deadLetterReason } of await letters.peekMessages(10)) found.push([body.data.name, deadLetterReason]);
        return found.length > 0 && able.every((name) => names.includes(name));
      },
      mostDeaths,
    );
    return { deaths, found };
  }

  test("is found out though nothing is counted when its process is killed, and its neighbours go on", { timeout: 240_000 }, async () => {
    const steps = [
      ["first", A, "pass"],
      ["killer", B, "kill"],
      ["behind", B, "pass"],
      ["beside", C, "pass"],
    ] as const;
    const { deaths, found } = await survive(steps, 20);
    expect(found).toEqual([["killer", "crashed"]]);
    expect(deaths).toBeLessThanOrEqual(14);
  });

  test("is found out behind one that waits for its retry all the time", { timeout: 240_000 }, async () => {
    const steps = [
      ["waits", A, "fail"],
      ["killer", B, "kill"],
      ["behind", B, "pass"],
    ] as const;
    const { deaths, found } = await survive(steps, 20);
    expect(found).toEqual([["killer", "crashed"]]);
    expect(deaths).toBeLessThanOrEqual(14);
  });
});

describe('with order: "key" no message is suspected', () => {
  test("however often its consumers were stopped, and none of that is counted by the broker", async () => {
    const sender = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await sendTo(sender, endpoint.name, ["held", A], ["waits in its place", B]);
    for (let stop = 0; stop < 5; stop++) {
      const port = await bench.port();
      const inbox = await port.receive(endpoint, 2);
      const [held] = await inbox.reach(1);
      expect([held && textOf(held), held?.suspicion]).toEqual(["held", "none"]);
      const { receiver } = inbox;
      inbox.receiver = undefined;
      await receiver?.stop();
      if (stop % 2 === 0) await held?.release();
      await receiver?.close(performance.now() + 5_000);
      await port.close();
    }
    expect(await lookAt(endpoint.name)).toEqual({ state: null, deliveryCount: 0 });
  });

  test("however often the connection of a process that lives was lost, nor has it run alone", async () => {
    const sender = await bench.port();
    const port = await bench.mortalPort();
    const endpoint = bench.endpoint({ order: "key" });
    await sendTo(sender, endpoint.name, ["held", A]);
    const inbox = await port.receive(endpoint, 64);
    for (let loss = 1; loss <= 5; loss++) {
      await inbox.reach(loss);
      await port.proxy?.apply({ type: "down" });
      await eventually("a loss", () => inbox.deliveries.at(-1)?.isLost === true);
      await port.proxy?.remove("down");
    }
    await inbox.reach(6);
    expect(inbox.deliveries.map(({ suspicion }) => suspicion)).toEqual(Array(6).fill("none"));
    inbox.deliveries.at(-1)?.complete();
  });

  test("where others died, as soon as what they held first is settled", async () => {
    const sender = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    for (let death = 0; death < 6; death++) {
      await sendTo(sender, endpoint.name, [`message ${death}`, A], [`message ${death} b`, A]);
      const victim = await bench.mortalPort();
      const inbox = await victim.receive(endpoint, 64);
      await inbox.reach(2);
      inbox.deliveries[0]?.complete();
      await eventually("a completion", async () => (await lookInto(endpoint.name)) === 1 + death);
      expect(inbox.deliveries.every(({ suspicion }) => suspicion === "none")).toBe(true);
      inbox.receiver = undefined;
      await victim.die();
    }
  });
});

/** How many messages are in a queue. */
async function lookInto(queue: string): Promise<number> {
  return (await bench.client().createReceiver(queue).peekMessages(100)).length;
}

describe("the state of a session", () => {
  test("tells what was held when three processes died: all of it runs alone, until each has once, and goes on when one of it waits", async () => {
    const sender = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await sendTo(sender, endpoint.name, ["slow", A], ["other", B], ["third", C]);
    for (let death = 0; death < 3; death++) {
      const victim = await bench.mortalPort();
      const inbox = await victim.receive(endpoint, 64);
      await inbox.reach(3);
      inbox.receiver = undefined;
      await victim.die();
    }
    const port = await bench.port();
    const inbox = await port.receive(endpoint, 64);
    const [slow] = await inbox.reach(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([inbox.texts, slow?.suspicion]).toEqual([["slow"], "careful"]);
    slow?.survived?.();
    const other = (await inbox.reach(2)).at(-1);
    expect([other && textOf(other), other?.suspicion, slow?.suspicion]).toEqual(["other", "careful", "none"]);
    other?.complete();
    const third = (await inbox.reach(3)).at(-1);
    expect(third?.suspicion).toBe("careful");
    third?.complete();
    slow?.complete();
  });

  test("that is somebody else's is replaced, which is said", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await sendTo(port, endpoint.name, ["text", A]);
    const session = await bench.client().acceptSession(endpoint.name, sessionOf(A));
    await session.setSessionState(Buffer.from([0, 255, 7]));
    await session.close();
    const inbox = await port.receive(endpoint, 64);
    const [delivery] = await inbox.reach(1);
    expect(delivery?.suspicion).toBe("none");
    expect(port.log.filter((line) => line.startsWith("warn") && line.includes("a state that is not the bus's"))).toHaveLength(1);
    delivery?.complete();
  });

  test("of a session that is not one of the bus's is gone with the messages", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await bench.client().createSender(endpoint.name).sendMessages({ body: "foreign", sessionId: "somebody's order 17" });
    const inbox = await port.receive(endpoint, 64);
    const [delivery] = await inbox.reach(1);
    delivery?.complete();
    await eventually("an empty queue", async () => (await lookInto(endpoint.name)) === 0);
    await inbox.close();
    const session = await bench.client().acceptSession(endpoint.name, "somebody's order 17");
    expect(await session.getSessionState()).toBeNull();
  });
});

describe("a session that has been held for a minute", () => {
  test("goes on when one of its keys waits for a retry, and is given back when nothing of it is held", { timeout: 60_000 }, async () => {
    const port = await bench.port({ lockDuration: "5m" });
    const endpoint = bench.endpoint({ order: "key" }, 300_000);
    await sendTo(port, endpoint.name, ["waits", A]);
    const inbox = await port.receive(endpoint, 64);
    inbox.onDelivery = (delivery) => void (textOf(delivery) !== "waits" && delivery.complete());
    const [waiting] = await inbox.reach(1);
    const later = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => later() + 61_000);
    onTestFinished(() => void vi.restoreAllMocks());
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await sendTo(port, endpoint.name, ["neighbour", B]);
    await inbox.reach(2, 10_000);
    expect(waiting?.isLost).toBe(false);
    waiting?.complete();

    await eventually("an empty queue", async () => (await lookInto(endpoint.name)) === 0);
    clock.mockImplementation(() => later() + 122_000);
    // Sooner than one that is idle.
    await eventually("a session that is free", async () => lookAt(endpoint.name).then(Boolean, () => false), 5_000);
  });
});

describe("a suspect that waits for what is before it", () => {
  test("ends with its receiver, and leaves the turn of suspects to others", async () => {
    const sender = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await sendTo(sender, endpoint.name, ["first", A], ["suspect", B]);
    for (let count = 0; count < 3; count++) {
      const session = await bench.client().acceptSession(endpoint.name, sessionOf(A));
      const taken = [];
      while (taken.length < 2) taken.push(...(await session.receiveMessages(2, { maxWaitTimeInMs: 5_000 })));
      if (taken[1]) await session.abandonMessage(taken[1]);
      await session.close();
    }
    const port = await bench.port();
    const inbox = await port.receive(endpoint, 64);
    await inbox.reach(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(inbox.texts).toEqual(["first"]);
    const { receiver } = inbox;
    inbox.receiver = undefined;
    await receiver?.close(performance.now() + 500);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const hasTurn = await suspectTurn.take(100, new AbortController().signal);
    expect(hasTurn).toBe(true);
    suspectTurn.give();
    expect(port.log.filter((line) => line.includes("cannot be noted"))).toEqual([]);
  });
});
