import { describe, expect, onTestFinished, test, vi } from "vitest";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import { sessionOf } from "../../transports/azure-service-bus/mapping.js";
import { Bench, eventually, message, type Port, textOf } from "./support/bench.js";

const bench = await Bench.start();

/** Keys that have one session, the first of them `key`. */
function neighbours(key: string, count: number): readonly string[] {
  const keys = [key];
  for (let i = 0; keys.length < count; i++) if (sessionOf(`${key}${i}`) === sessionOf(key)) keys.push(`${key}${i}`);
  return keys;
}

const [A = "", B = ""] = neighbours("k", 2);

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
});

/** How many messages are in a queue. */
async function lookInto(queue: string): Promise<number> {
  return (await bench.client().createReceiver(queue).peekMessages(100)).length;
}

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
