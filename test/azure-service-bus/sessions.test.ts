import { describe, expect, test } from "vitest";
import { suspectTurn } from "../../src/util/suspect-turn.js";
import { sessionOf } from "../../transports/azure-service-bus/mapping.js";
import { Bench, message, type Port } from "./support/bench.js";

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
