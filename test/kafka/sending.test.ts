import { expect, test } from "vitest";
import type { SendResult } from "../../src/contracts/transport.js";
import { partitionOfKey } from "../../transports/kafka/partitioner.js";
import { describeWithKafka } from "../support/brokers.js";
import { eventually } from "./support/eventually.js";
import { Bench, message, type Port } from "./support/port.js";

const outcomes = (results: readonly SendResult[]): string[] => results.map(({ outcome }) => outcome);

function errorOf(result: SendResult | undefined): { code: string; retryable: boolean; message: string } {
  if (!result || result.outcome === "sent") throw new Error(`expected an error, got ${result?.outcome}`);
  return result.error;
}

const THING = { event: "test.thing" };
const OTHER = { event: "test.other" };
const provide = (port: Port, events: readonly string[] = ["test.thing"]) => port.transport.provision({ events, endpoints: [] }, "create");

describeWithKafka("sending", ({ brokers }) => {
  test("what is sent has its properties and headers in the record's own, and its key is the partition key", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 6 });
    await port.transport.provision({ events: [], endpoints: [bench.plan("shipping")] }, "create");
    const properties = { messageId: "id-1", correlationId: "c-1", partitionKey: "kéy" };
    const headers = { tenant: "t-1", "content-type": "the user's own" };

    expect(await port.send(message({ endpoint: "shipping" }, "body", properties, headers))).toEqual([{ outcome: "sent" }]);

    expect(await bench.stored("shipping")).toEqual([
      {
        partition: partitionOfKey(Buffer.from("kéy"), 6),
        key: "kéy",
        value: "body",
        headers: {
          "message-id": "id-1",
          "message-type": "test.thing",
          "content-type": "text/plain",
          "correlation-id": "c-1",
          tenant: "t-1",
          "tb-header-content-type": "the user's own",
        },
      },
    ]);
  });

  test("messages of one key keep their order, in one call and over calls that are awaited; those without a key are spread", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 4 });
    await provide(port);
    const keyed = (text: string) => message(THING, text, { partitionKey: "k" });

    const calls = Array.from({ length: 3 }, (_, call) => Array.from({ length: 700 }, (__, i) => keyed(`k-${call}-${i}`)));
    for (const call of calls) expect(new Set(outcomes(await port.send(...call)))).toEqual(new Set(["sent"]));
    for (let i = 0; i < 20; i++) await port.send(message(THING, `free-${i}`));

    const stored = await bench.stored("test.thing");
    const ofKey = stored.filter(({ key }) => key === "k").map(({ value }) => value);
    expect(ofKey).toEqual(calls.flat().map(({ body }) => Buffer.from(body).toString()));
    const free = stored.filter(({ key }) => key === undefined);
    expect(new Set(free.map(({ partition }) => partition)).size).toBe(4);
    expect(free).toHaveLength(20);
  });

  test("a command to an endpoint that nobody has made is unroutable, and its neighbours are sent", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port();
    await provide(port);

    const results = await port.send(message(THING, "1"), message({ endpoint: "nobody" }, "2"), message(THING, "3"));

    expect(outcomes(results)).toEqual(["sent", "refused", "sent"]);
    expect(errorOf(results[1])).toMatchObject({ code: "unroutable", retryable: false });
    expect(errorOf(results[1]).message).toContain(`${bench.namePrefix}nobody`);
  });

  test("an event whose topic is missing is refused for now, and goes once somebody has made it", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port();
    await provide(port);

    const results = await port.send(message(THING, "1"), message(OTHER, "2"));
    expect(outcomes(results)).toEqual(["sent", "refused"]);
    expect(errorOf(results[1])).toMatchObject({ code: "topology", retryable: true });

    await bench.makeTopic("test.other");
    await eventually("the event to be sent", async () => outcomes(await port.send(message(OTHER, "3")))[0] === "sent");
  });

  test("a message that is too large for its topic is refused alone, at once, and names the limit", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port();
    await bench.makeTopic("test.other", 1, { "max.message.bytes": "100000" });
    await provide(port, ["test.thing", "test.other"]);

    const results = await port.send(
      message(OTHER, "1"),
      message(OTHER, Buffer.alloc(100_001)),
      message(OTHER, "3"),
      message(THING, Buffer.alloc(900_000)),
    );

    expect(outcomes(results)).toEqual(["sent", "refused", "sent", "sent"]);
    expect(errorOf(results[1])).toMatchObject({ code: "too-large", retryable: false });
    expect(errorOf(results[1]).message).toContain("max.message.bytes");
    expect(await bench.stored("test.other")).toHaveLength(2);
  });

  test("a limit that was lowered behind our back costs only the message that is too large, whichever mates it had", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 1 });
    await provide(port);
    expect(outcomes(await port.send(message(THING, "first")))).toEqual(["sent"]);
    await (await bench.admin()).alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: `${bench.namePrefix}test.thing`, configEntries: [{ name: "max.message.bytes", value: "20000" }] }],
    });
    await eventually("the broker to know the new limit", async () => {
      const results = await port.send(message({ event: "test.thing" }, Buffer.alloc(25_000), { partitionKey: "k" }));
      return results[0]?.outcome === "refused";
    });

    const other = await bench.port();
    const mates = Array.from({ length: 40 }, (_, i) => message(THING, Buffer.alloc(i === 17 ? 19_990 : 3_000, 97), { partitionKey: "k" }));
    const results = await other.send(...mates);

    expect(outcomes(results)).toEqual(mates.map((_, i) => (i === 17 ? "refused" : "sent")));
    expect(errorOf(results[17])).toMatchObject({ code: "too-large" });
  });

  test("many outstanding messages of any size are all confirmed, and stored once", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 6 });
    await provide(port);
    const sizes = [10, 1_000, 20_000, 300_000];
    const calls = Array.from({ length: 300 }, (_, i) =>
      port.send(message(THING, `${i}|${"x".repeat(sizes[i % 4] ?? 0)}`, { partitionKey: i % 3 === 0 ? undefined : `k${i % 11}` })),
    );

    expect(new Set((await Promise.all(calls)).flatMap(outcomes))).toEqual(new Set(["sent"]));

    const stored = (await bench.stored("test.thing")).map(({ value }) => Number(value?.split("|", 1)[0]));
    expect(stored.sort((a, b) => a - b)).toEqual(calls.map((_, i) => i));
  });

  test("partitions that were added are used, and nothing is lost while kafkajs does not know of them", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 1 });
    await provide(port);
    await port.send(message(THING, "0", { partitionKey: "k0" }));
    await (await bench.admin()).createPartitions({ topicPartitions: [{ topic: `${bench.namePrefix}test.thing`, count: 8 }] });

    // After a message that is too large the adapter looks at the topic anew; kafkajs knows of one partition still, and drops what is for the others.
    await port.send(message(THING, Buffer.alloc(2_000_000)));
    const sent: string[] = ["0"];
    await eventually("new partitions to be used", async () => {
      const batch = Array.from({ length: 50 }, (_, i) => message(THING, `${sent.length}-${i}`, { partitionKey: `k${i}` }));
      const results = await port.send(...batch);
      for (const [i, result] of results.entries()) if (result.outcome === "sent") sent.push(Buffer.from(batch[i]?.body ?? "").toString());
      return new Set((await bench.stored("test.thing")).map(({ partition }) => partition)).size > 4;
    });
    const stored = new Set((await bench.stored("test.thing")).map(({ value }) => value));
    expect(sent.filter((text) => !stored.has(text))).toEqual([]);
  });

  test("a topic that is deleted while it is used is made anew, and its neighbours do not notice", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ partitions: 2 });
    await provide(port, ["test.thing", "test.other"]);
    await port.send(message(THING, "1"), message(OTHER, "1"));
    await (await bench.admin()).deleteTopics({ topics: [`${bench.namePrefix}test.other`] });

    let neighbours = 0;
    await eventually("the deleted topic to be back", async () => {
      const [thing, other] = await port.send(message(THING, "2", { partitionKey: "k" }), message(OTHER, "2", { partitionKey: "k" }));
      if (thing?.outcome === "sent") neighbours++;
      return other?.outcome === "sent";
    });

    expect(neighbours).toBeGreaterThan(0);
    expect((await bench.stored("test.other")).map(({ value }) => value)).toContain("2");
    expect(port.log.join("\n")).toContain(`${bench.namePrefix}test.other" is not there`);
  });

  test("gzip is sent where it is asked for, and takes more than the limit of a batch by what it saves", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port({ compression: "gzip", partitions: 1 });
    await provide(port);
    const results = await port.send(...Array.from({ length: 20 }, () => message(THING, Buffer.alloc(200_000, 97))));
    expect(new Set(outcomes(results))).toEqual(new Set(["sent"]));
    expect((await bench.stored("test.thing")).map(({ value }) => value?.length)).toEqual(new Array(20).fill(200_000));
  });

  test("what is sent after the time is up, or after the transport was closed, is refused and not kept", async () => {
    const bench = new Bench(brokers);
    const port = await bench.port();
    await provide(port);
    const late = await port.transport.send([message(THING, "late")], AbortSignal.abort());
    expect(outcomes(late)).toEqual(["refused"]);
    const last = port.send(message(THING, "last"));
    await port.transport.close(performance.now() + 5_000);
    expect(outcomes(await last)).toEqual(["sent"]);
    expect(errorOf((await port.send(message(THING, "closed")))[0])).toMatchObject({ code: "unavailable" });
    expect((await bench.stored("test.thing")).map(({ value }) => value)).toEqual(["last"]);
  });
});
