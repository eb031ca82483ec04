import { expect, test } from "vitest";
import { describeWithKafka } from "../support/brokers.js";
import { instance, textOf } from "./support/endpoint.js";
import { eventually } from "./support/eventually.js";
import { Bench, message, type Port } from "./support/port.js";

const THING = { event: "test.thing" };
const OTHER = { event: "test.other" };
const options = { partitions: 2 };

describeWithKafka("offsets that Kafka has forgotten", ({ brokers }) => {
  async function begin(): Promise<{ bench: Bench; publisher: Port }> {
    const bench = new Bench(brokers);
    const publisher = await bench.port(options);
    await publisher.transport.provision({ events: ["test.thing", "test.other"], endpoints: [] }, "create");
    await publisher.send(message(THING, "history"), message(OTHER, "history"));
    return { bench, publisher };
  }

  /** What `offsets.retention.minutes` does to a group that was stopped for so long. */
  async function forget(bench: Bench, endpoint: string): Promise<void> {
    const admin = await bench.admin();
    const groupId = bench.namePrefix + endpoint;
    await eventually("the group to be empty", async () => (await admin.describeGroups([groupId])).groups[0]?.state === "Empty");
    await admin.deleteGroups([groupId]);
  }

  /** How often anything was stored in the endpoint's dead-letter topic. */
  async function marks(bench: Bench, endpoint: string): Promise<number> {
    const ends = await (await bench.admin()).fetchTopicOffsets(`${bench.namePrefix}${endpoint}.dead-letter`);
    return ends.reduce((sum, { high }) => sum + Number(high), 0);
  }

  test("an endpoint that had begun goes on with the first message that is kept, whichever instance comes first, and what was published meanwhile is not lost", async () => {
    const { bench, publisher } = await begin();
    const plan = bench.plan("audit", { subscribed: ["test.thing"] });
    const before = await instance(bench, plan, { options });
    await eventually("that it has begun to be noted", async () => (await marks(bench, "audit")) === 1);
    await publisher.send(message(THING, "seen"));
    await before.inbox.reach(1);
    expect(before.inbox.deliveries.map(textOf)).toEqual(["seen"]);
    await before.leave();
    await publisher.send(...Array.from({ length: 4 }, () => message(THING, "away")));
    await forget(bench, "audit");

    const [first, second] = await Promise.all([instance(bench, plan, { options }), instance(bench, plan, { options })]);
    const texts = (): string[] => [...new Set([...first.inbox.deliveries, ...second.inbox.deliveries].map(textOf))];
    await eventually("all that is kept", () => texts().length === 3);
    expect(texts().sort()).toEqual(["away", "history", "seen"]);
    await Promise.all([first.leave(), second.leave()]);

    await publisher.send(message(THING, "later"));
    const last = await instance(bench, plan, { options });
    await last.inbox.reach(1);
    expect(last.inbox.deliveries.map(textOf)).toEqual(["later"]);
  });

  test("an endpoint that starts for the first time begins with what comes, also when its topics were made long before, and so does a type that it subscribes later", async () => {
    const { bench, publisher } = await begin();
    const plan = bench.plan("audit", { subscribed: ["test.thing"] });
    await publisher.transport.provision({ events: [], endpoints: [plan] }, "create");
    const first = await instance(bench, plan, { options });
    await eventually("that it has begun to be noted", async () => (await marks(bench, "audit")) === 1);
    await publisher.send(message(THING, "new"), message(OTHER, "not yet"));
    await first.inbox.reach(1);
    await first.leave();

    const second = await instance(bench, bench.plan("audit", { subscribed: ["test.thing", "test.other"] }), { options });
    await publisher.send(message(OTHER, "new other"));
    await second.inbox.reach(1);
    expect([...first.inbox.deliveries, ...second.inbox.deliveries].map(textOf)).toEqual(["new", "new other"]);
  });

  test("an endpoint that exchanges all types that it subscribes begins with what comes of the new ones", async () => {
    const { bench, publisher } = await begin();
    const first = await instance(bench, bench.plan("audit", { subscribed: ["test.thing"] }), { options });
    await eventually("that it has begun to be noted", async () => (await marks(bench, "audit")) === 1);
    await publisher.send(message(THING, "new"));
    await first.inbox.reach(1);
    await first.leave();

    const second = await instance(bench, bench.plan("audit", { subscribed: ["test.other"] }), { options });
    await publisher.send(message(OTHER, "new other"));
    await second.inbox.reach(1);
    expect(second.inbox.deliveries.map(textOf)).toEqual(["new other"]);
  });

  test("the note that an endpoint has begun is no dead letter", async () => {
    const { bench } = await begin();
    const plan = bench.plan("audit", { subscribed: ["test.thing"] });
    const { port } = await instance(bench, plan, { options });
    await eventually("that it has begun to be noted", async () => (await marks(bench, "audit")) === 1);
    await eventually("the note to be deleted", async () => {
      const offsets = await (await bench.admin()).fetchTopicOffsets(`${bench.namePrefix}audit.dead-letter`);
      return offsets.every(({ low, high }) => low === high);
    });
    const visit = await port.receive(plan, 10, "dead-letter");
    await eventually("the visit to end", () => visit.isExhausted);
    expect(visit.deliveries).toEqual([]);
    await visit.close();

    // Where nobody may delete it is passed over.
    const producer = bench.kafka.producer();
    await producer.connect();
    await producer.send({ topic: `${bench.namePrefix}audit.dead-letter`, messages: [{ value: null, headers: { "tb-begun": "1" } }] });
    await producer.disconnect();
    const another = await port.receive(plan, 10, "dead-letter");
    await eventually("the visit to end", () => another.isExhausted);
    expect(another.deliveries).toEqual([]);
    await another.close();
  });
});
