import { describe, expect, test } from "vitest";
import { Bench, eventually, message, textOf } from "./support/bench.js";

const bench = await Bench.start();

/** As often as processes died with the message in their hands: somebody takes it, and says nothing that would excuse it. */
async function die(queue: string, times: number): Promise<void> {
  const receiver = bench.client().createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
  for (let i = 0; i < times; i++) {
    const [taken] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 10_000 });
    if (!taken) throw new Error(`nothing is in ${queue}`);
    await receiver.abandonMessage(taken);
  }
  await receiver.close();
}

async function dieInSession(queue: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const session = await bench.client().acceptNextSession(queue, { maxAutoLockRenewalDurationInMs: 0 });
    const [taken] = await session.receiveMessages(1, { maxWaitTimeInMs: 10_000 });
    if (!taken) throw new Error(`nothing is in ${queue}`);
    await session.abandonMessage(taken);
    await session.close();
  }
}

describe("a message that three processes died with", () => {
  test("is moved unrun, and runs alone while nothing else of the endpoint is held", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    await port.send(message({ endpoint: endpoint.name }, "suspect", { messageId: "s-1", partitionKey: "k" }, { tenant: "t1" }));
    await die(endpoint.name, 3);
    const inbox = await port.receive(endpoint);
    inbox.onDelivery = (delivery) => void (delivery.suspicion === "none" && delivery.complete());
    await port.send(message({ endpoint: endpoint.name }, "neighbour"));

    const [first, second] = await inbox.reach(2);
    const [suspect, neighbour] = first?.suspicion === "careful" ? [first, second] : [second, first];
    expect([suspect && textOf(suspect), suspect?.suspicion, suspect?.source]).toEqual(["suspect", "careful", `${endpoint.name}.suspect`]);
    expect(suspect?.properties).toMatchObject({ messageId: "s-1", partitionKey: "k", messageType: "tests.text" });
    expect(suspect?.headers).toEqual({ tenant: "t1" });
    expect(neighbour?.suspicion).toBe("none");
    expect(suspect?.complete()).toBe("settled");
  });

  test("that turns out harmless fails, and is retried like any other", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    await port.send(message({ endpoint: endpoint.name }, "suspect"));
    await die(endpoint.name, 3);
    const inbox = await port.receive(endpoint);
    const [suspect] = await inbox.reach(1);
    suspect?.survived?.();
    await suspect?.retry(200, { "tb-attempts": "1" });
    const retried = (await inbox.reach(2)).at(-1);
    expect([retried?.suspicion, retried?.source, retried?.headers["tb-attempts"]]).toEqual(["none", endpoint.name, "1"]);
    retried?.complete();
  });

  test("and that could not be moved is given back when its receiver closes, and nobody goes on trying", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    bench.broker.namespace.delete(`${endpoint.name}.suspect`);
    await port.send(message({ endpoint: endpoint.name }, "suspect"));
    await die(endpoint.name, 3);
    const tries = (): number => port.log.filter((line) => line.includes("cannot be moved")).length;
    const inbox = await port.receive(endpoint);
    await eventually("a try", () => tries() > 0);
    await inbox.close();
    const tried = tries();
    const [given] = await bench.client().createReceiver(endpoint.name).receiveMessages(1, { maxWaitTimeInMs: 5_000 });
    expect(given?.applicationProperties).toEqual({ "tb-released": 1 });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(tries()).toBe(tried);
  });

  test("and that ten more died with alone is crashed, and its dead letter is found", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    await port.send(message({ endpoint: endpoint.name }, "killer"));
    await die(endpoint.name, 3);
    const mover = await bench.port();
    const moving = await mover.receive(endpoint);
    const [moved] = await moving.reach(1);
    await moved?.release();
    await moving.close();
    await die(`${endpoint.name}.suspect`, 10);

    const inbox = await port.receive(endpoint);
    const [killer] = await inbox.reach(1);
    expect(killer?.suspicion).toBe("crashed");
    expect(await killer?.deadLetter({ "tb-reason": "crashed" })).toBe("settled");
    const letters = await port.letters(endpoint);
    expect(letters.map((letter) => [textOf(letter), letter.headers["tb-reason"]])).toEqual([["killer", "crashed"]]);
  });
});

describe('with order: "key" a message that three processes died with', () => {
  test("runs alone in its place: what is before it ends first, what is behind it waits", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    const send = (text: string) => port.send(message({ endpoint: endpoint.name }, text, { partitionKey: "k" }));
    await send("suspect");
    await dieInSession(endpoint.name, 3);
    await send("behind");
    const inbox = await port.receive(endpoint, 64);
    const [suspect] = await inbox.reach(1);
    expect([suspect && textOf(suspect), suspect?.suspicion]).toEqual(["suspect", "careful"]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(inbox.deliveries).toHaveLength(1);
    suspect?.complete();
    const behind = (await inbox.reach(2)).at(-1);
    expect([behind && textOf(behind), behind?.suspicion]).toEqual(["behind", "none"]);
    behind?.complete();
  });

  test("is crashed after ten runs alone that no process lived through", { timeout: 120_000 }, async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await port.send(message({ endpoint: endpoint.name }, "killer", { partitionKey: "k" }));
    await dieInSession(endpoint.name, 3);
    for (let run = 1; run <= 10; run++) {
      const victim = await bench.mortalPort();
      const inbox = await victim.receive(endpoint, 64);
      const [killer] = await inbox.reach(1);
      expect([run, killer?.suspicion]).toEqual([run, "careful"]);
      inbox.receiver = undefined;
      await victim.die();
    }
    const inbox = await port.receive(endpoint, 64);
    const [killer] = await inbox.reach(1);
    expect(killer?.suspicion).toBe("crashed");
    await killer?.deadLetter({ "tb-reason": "crashed" });
    expect((await port.letters(endpoint)).map(textOf)).toEqual(["killer"]);
  });

  test("is no suspect any more when it has failed alone and its process lives", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({ order: "key" });
    await port.send(
      message({ endpoint: endpoint.name }, "harmless", { partitionKey: "k" }),
      message({ endpoint: endpoint.name }, "other", { partitionKey: "k" }),
    );
    await dieInSession(endpoint.name, 3);
    const inbox = await port.receive(endpoint, 64);
    const [suspect] = await inbox.reach(1);
    suspect?.survived?.();
    // What is behind it waits in its lane now, in the core.
    await inbox.reach(2);
    for (const delivery of inbox.deliveries) delivery.complete();
    await eventually("an empty queue", async () => (await bench.client().createReceiver(endpoint.name).peekMessages(1)).length === 0);
  });
});
