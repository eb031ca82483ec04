import { statSync } from "node:fs";
import { appendFile, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { int, timestamp } from "../../src/amqp/values.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { DataFolder } from "../../src/storage/data-folder.js";
import { acceptSession, message, propertiesOf, receive, textOfMessage } from "../support/broker.js";
import { ManualClock } from "../support/manual-clock.js";
import { TemporaryFolder } from "../support/temporary-folder.js";

/** A namespace on a data folder, and how to end it. */
class Running {
  readonly namespace: ServiceBusNamespace;
  readonly data: DataFolder;

  constructor(namespace: ServiceBusNamespace, data: DataFolder) {
    this.namespace = namespace;
    this.data = data;
  }

  static async start(folder: string, clock: ManualClock = new ManualClock()): Promise<Running> {
    const data = await DataFolder.open(folder);
    const namespace = new ServiceBusNamespace({ clock, journal: data.journal });
    data.restore(namespace);
    return new Running(namespace, data);
  }

  /** As a process that is killed right after what was accepted was written: nothing is closed in order. */
  async kill(): Promise<void> {
    await this.namespace.kept();
    this.namespace.stop();
    await this.data.close();
  }
}

/** Does something on a folder, then looks at what the next start finds there. */
async function across(
  folder: string,
  before: (namespace: ServiceBusNamespace, clock: ManualClock) => unknown,
  after: (namespace: ServiceBusNamespace, clock: ManualClock) => unknown,
): Promise<void> {
  const clock = new ManualClock();
  const first = await Running.start(folder, clock);
  await before(first.namespace, clock);
  await first.kill();
  const second = await Running.start(folder, clock);
  await after(second.namespace, clock);
  await second.kill();
}

const texts = (namespace: ServiceBusNamespace, queue: string): string[] =>
  (namespace.findQueue(queue)?.peek(0n, 100_000) ?? []).map(textOfMessage);

describe("A data folder", { timeout: 90_000 }, () => {
  it("keeps messages with everything that belongs to them", async () => {
    await using folder = await TemporaryFolder.make();
    const sent = message("m1", { id: "id", subject: "s", timeToLive: 60_000, properties: { n: int(5), at: timestamp(1) } });
    const annotations = new Map([["x-opt-partition-key", "pk"]]);
    await across(
      folder.path,
      (namespace) => namespace.createQueue("q").send([{ ...sent, durable: true, priority: 7, annotations }, message("m2")]),
      (namespace) => {
        const [first, second] = namespace.findQueue("q")?.peek(0n, 9) ?? [];
        expect(first?.bare.equals(sent.bare)).toBe(true);
        expect(first).toMatchObject({
          durable: true,
          priority: 7,
          timeToLive: 60_000,
          sequenceNumber: 1n,
          enqueuedSequenceNumber: 1n,
          deliveryCount: 0,
        });
        expect(first?.annotations).toEqual(annotations);
        expect(second?.sequenceNumber).toBe(2n);
      },
    );
  });

  it("does not bring back what was completed, and never gives a sequence number twice", async () => {
    await using folder = await TemporaryFolder.make();
    await across(
      folder.path,
      (namespace) => {
        const queue = namespace.createQueue("q");
        queue.send([message("m1"), message("m2")]);
        const receiver = receive(queue);
        for (const { lockToken } of receiver.deliveries) queue.settle(lockToken, { kind: "complete" });
      },
      (namespace) => {
        const queue = namespace.findQueue("q");
        expect(queue?.peek(0n, 9)).toEqual([]);
        queue?.send([message("m3")]);
        expect(queue?.peek(0n, 9)[0]?.sequenceNumber).toBe(3n);
      },
    );
  });

  it("gives a message back that was locked, with the deliveries that were counted", async () => {
    await using folder = await TemporaryFolder.make();
    await across(
      folder.path,
      (namespace) => {
        const queue = namespace.createQueue("q");
        queue.send([message("m1")]);
        const receiver = receive(queue, 2);
        queue.settle(receiver.last.lockToken, { kind: "abandon", properties: new Map([["tried", true]]) });
        expect(receiver.deliveries).toHaveLength(2);
      },
      (namespace) => {
        const receiver = receive(namespace.requireSendable("q") as never);
        expect(receiver.texts).toEqual(["m1"]);
        expect(receiver.deliveryCounts).toEqual([1]);
        expect(propertiesOf(receiver.last.message)).toEqual({ tried: true });
      },
    );
  });

  it("keeps deferred, scheduled, dead-lettered and transfer dead-lettered messages where they were", async () => {
    await using folder = await TemporaryFolder.make();
    await across(
      folder.path,
      (namespace, clock) => {
        const queue = namespace.createQueue("q");
        queue.send([message("deferred"), message("dead")]);
        const receiver = receive(queue);
        queue.settle(receiver.deliveries[0]?.lockToken as Buffer, { kind: "defer" });
        queue.settle(receiver.deliveries[1]?.lockToken as Buffer, { kind: "dead-letter", reason: "r", description: "d" });
        queue.schedule([message("scheduled", { scheduledAt: clock.now() + 60_000 })]);
        namespace.createQueue("target");
        const source = namespace.createQueue("source", { forwardTo: "target" });
        namespace.delete("target");
        source.send([message("lost")]);
      },
      (namespace, clock) => {
        const queue = namespace.findQueue("q");
        expect(queue?.receiveDeferred([1n], "peek-lock").map((delivery) => textOfMessage(delivery.message))).toEqual(["deferred"]);
        expect(queue?.deadLetters.peek(0n, 9).map(textOfMessage)).toEqual(["dead"]);
        expect(queue?.store.scheduledCount).toBe(1);
        expect(namespace.findQueue("source")?.transferDeadLetters.peek(0n, 9).map(textOfMessage)).toEqual(["lost"]);
        clock.advance(60_000);
        expect(queue && receive(queue).texts).toEqual(["scheduled"]);
      },
    );
  });

  it("keeps entities, their properties, rules with typed parameters and their times; deleted ones stay deleted", async () => {
    await using folder = await TemporaryFolder.make();
    let createdAt = 0;
    await across(
      folder.path,
      (namespace, clock) => {
        createdAt = namespace.createQueue("q", { lockDuration: 5000, userMetadata: "x" }).createdAt;
        clock.advance(1000);
        namespace.createTopic("t");
        const parameters = new Map([["@n", int(5)]]);
        const filter = { kind: "sql", expression: "n = @n", parameters } as const;
        const subscription = namespace.createSubscription("t", "s", { forwardTo: "q" }, [
          { name: "r", filter, action: { expression: "SET x = 1" } },
        ]);
        subscription.addRule({
          name: "c",
          filter: { kind: "correlation", correlation: { label: "l", properties: parameters } },
          action: undefined,
        });
        namespace.createTopic("gone");
        namespace.createSubscription("gone", "s");
        namespace.delete("gone");
        namespace.createQueue("gone").send([message("new")]);
      },
      (namespace) => {
        expect(namespace.findQueue("q")?.description).toMatchObject({ lockDuration: 5000, userMetadata: "x" });
        expect(namespace.findQueue("q")?.createdAt).toBe(createdAt);
        const rules = namespace.findSubscription("t", "s")?.listRules(0, 9);
        expect(rules).toMatchObject([
          { name: "c", filter: { kind: "correlation", correlation: { label: "l", properties: new Map([["@n", int(5)]]) } } },
          { name: "r", filter: { kind: "sql", parameters: new Map([["@n", int(5)]]) }, action: { expression: "SET x = 1" } },
        ]);
        namespace.findTopic("t")?.send([message("m1", { properties: { n: int(5) } })]);
        expect(texts(namespace, "q")).toEqual(["m1"]);
        expect(namespace.findTopic("gone")).toBeUndefined();
        expect(texts(namespace, "gone")).toEqual(["new"]);
      },
    );
  });

  it("keeps the state of sessions, and gives their messages in order", async () => {
    await using folder = await TemporaryFolder.make();
    await across(
      folder.path,
      async (namespace) => {
        const queue = namespace.createQueue("q", { requiresSession: true });
        queue.send(["a1", "b1", "a2"].map((text) => message(text, { session: text.charAt(0) })));
        await acceptSession(queue, "a");
        queue.setSessionState("a", Buffer.from("half"));
      },
      async (namespace) => {
        const queue = namespace.findQueue("q");
        if (!queue) throw new Error("the queue is gone");
        const receiver = await acceptSession(queue, "a");
        receiver.link.setCredit(9);
        expect(receiver.texts).toEqual(["a1", "a2"]);
        expect(queue.getSessionState("a")?.toString()).toBe("half");
      },
    );
  });

  it("offers sessions that have messages to whoever takes any, in the order of their first ones", { timeout: 10_000 }, async () => {
    await using folder = await TemporaryFolder.make();
    await across(
      folder.path,
      (namespace) => {
        const queue = namespace.createQueue("q", { requiresSession: true });
        queue.send(["b1", "a1", "b2"].map((text) => message(text, { session: text.charAt(0) })));
      },
      async (namespace) => {
        const queue = namespace.findQueue("q");
        if (!queue) throw new Error("the queue is gone");
        for (const texts of [["b1", "b2"], ["a1"]]) {
          const receiver = await acceptSession(queue, undefined);
          receiver.link.setCredit(9);
          expect(receiver.texts).toEqual(texts);
        }
      },
    );
  });

  it("remembers the ids of messages for duplicate detection", async () => {
    await using folder = await TemporaryFolder.make();
    const detecting = { requiresDuplicateDetection: true, duplicateDetectionHistoryTimeWindow: 20_000 };
    await across(
      folder.path,
      (namespace) => namespace.createQueue("q", detecting).send([message("a", { id: "1" })]),
      (namespace, clock) => {
        namespace.findQueue("q")?.send([message("b", { id: "1" })]);
        clock.advance(20_000);
        namespace.findQueue("q")?.send([message("c", { id: "1" })]);
        expect(texts(namespace, "q")).toEqual(["a", "c"]);
      },
    );
  });

  it("lets messages expire and schedules fire that came due while nothing ran", async () => {
    await using folder = await TemporaryFolder.make();
    const clock = new ManualClock();
    const first = await Running.start(folder.path, clock);
    const queue = first.namespace.createQueue("q", { deadLetteringOnMessageExpiration: true });
    queue.send([message("short", { timeToLive: 1000 }), message("later", { scheduledAt: clock.now() + 5000 })]);
    await first.kill();
    clock.advance(10_000);
    const second = await Running.start(folder.path, clock);
    clock.advance(1);
    expect(texts(second.namespace, "q")).toEqual(["later"]);
    expect(second.namespace.findQueue("q")?.deadLetters.peek(0n, 9).map(textOfMessage)).toEqual(["short"]);
    await second.kill();
  });

  it("tolerates that the last record is cut off or damaged: all before it is there", async () => {
    await using folder = await TemporaryFolder.make();
    const first = await Running.start(folder.path);
    const queue = first.namespace.createQueue("q");
    for (let i = 0; i < 10; i++) queue.send([message(`m${i}`)]);
    await first.kill();
    const log = join(folder.path, "log-00000001");
    const whole = await readFile(log);
    const lengths: number[] = [];
    for (let cut = whole.length - 1; cut > whole.length - 150; cut -= 7) {
      await writeFile(log, whole);
      await truncate(log, cut);
      const running = await Running.start(folder.path);
      lengths.push(texts(running.namespace, "q").length);
      await running.kill();
    }
    expect(new Set(lengths)).toEqual(new Set([9, 8]));
    await writeFile(log, whole);
    await appendFile(log, Buffer.from([5, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 9, 9, 0, 0]));
    const running = await Running.start(folder.path);
    expect(texts(running.namespace, "q")).toHaveLength(10);
    running.namespace.findQueue("q")?.send([message("after")]);
    await running.kill();
    const again = await Running.start(folder.path);
    expect(texts(again.namespace, "q")).toHaveLength(11);
    await again.kill();
  });

  it("says that all is kept only when it is in the file", async () => {
    await using folder = await TemporaryFolder.make();
    const running = await Running.start(folder.path);
    const queue = running.namespace.createQueue("q");
    await running.namespace.kept();
    const size = (): number => statSync(join(folder.path, "log-00000001")).size;
    const before = size();
    expect(running.namespace.kept()).toBeUndefined();
    queue.send([message("m1")]);
    queue.send([message("m2")]);
    const kept = running.namespace.kept();
    expect(kept).toBe(running.namespace.kept());
    expect(size()).toBe(before);
    await kept;
    expect(size()).toBeGreaterThan(before);
    await running.kill();
  });

  it("replaces its logs by a snapshot when they have grown, and stays small however much goes through", async () => {
    await using folder = await TemporaryFolder.make();
    const clock = new ManualClock();
    const first = await Running.start(folder.path, clock);
    const queue = first.namespace.createQueue("q");
    queue.send([message("stays"), message("deferred")]);
    const receiver = receive(queue, 2);
    queue.settle(receiver.deliveries[1]?.lockToken as Buffer, { kind: "defer" });
    receiver.link.setCredit(1_000_000);
    const body = Buffer.alloc(250_000);
    for (let i = 0; i < 600; i++) {
      queue.send([message(`m${i}`, { body })]);
      queue.settle(receiver.last.lockToken, { kind: "complete" });
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await first.data.idle();
    await first.kill();
    const files = await readdir(folder.path);
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder.path, file))).size));
    expect(files.some((file) => file.startsWith("snapshot-"))).toBe(true);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(100 * 1_048_576);
    const second = await Running.start(folder.path, clock);
    expect(texts(second.namespace, "q")).toEqual(["stays", "deferred"]);
    expect(
      second.namespace
        .findQueue("q")
        ?.peek(0n, 9)
        .map((peeked) => peeked.state),
    ).toEqual([0, 1]);
    second.namespace.findQueue("q")?.send([message("next")]);
    expect(second.namespace.findQueue("q")?.peek(603n, 1)[0]?.sequenceNumber).toBe(603n);
    await second.kill();
  });

  it("does not gather files however often it is started", async () => {
    await using folder = await TemporaryFolder.make();
    for (let run = 0; run < 40; run++) {
      const running = await Running.start(folder.path);
      const queue = running.namespace.findQueue("q") ?? running.namespace.createQueue("q");
      queue.send([message(`m${run}`)]);
      await running.data.idle();
      await running.kill();
    }
    expect((await readdir(folder.path)).length).toBeLessThan(24);
    const last = await Running.start(folder.path);
    expect(texts(last.namespace, "q")).toEqual(Array.from({ length: 40 }, (_, i) => `m${i}`));
    await last.kill();
  });

  it("is refused while another emulator uses it", async () => {
    await using folder = await TemporaryFolder.make();
    const running = await Running.start(folder.path);
    await expect(DataFolder.open(folder.path)).rejects.toThrow("is used by another emulator");
    await running.kill();
    await (await Running.start(folder.path)).kill();
  });

  it("loads a hundred thousand messages in seconds", async () => {
    await using folder = await TemporaryFolder.make();
    const first = await Running.start(folder.path);
    const queue = first.namespace.createQueue("q");
    const one = message("m", { body: Buffer.alloc(1000) });
    for (let i = 0; i < 100; i++) {
      queue.send(Array.from({ length: 1000 }, () => one));
      await first.namespace.kept();
    }
    await first.kill();
    const started = performance.now();
    const second = await Running.start(folder.path);
    const took = performance.now() - started;
    expect(second.namespace.findQueue("q")?.activeCount).toBe(100_000);
    expect(took).toBeLessThan(30_000);
    await second.kill();
  });
});
