import { ServiceBusAdministrationClient } from "@azure/service-bus";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { DEVELOPMENT_KEY } from "../../packages/service-bus-emulator/src/index.js";
import type { EndpointPlan, TopologyPlan } from "../../src/contracts/transport.js";
import { administrationOf } from "../../transports/azure-service-bus/administration.js";
import { resolveOptions } from "../../transports/azure-service-bus/options.js";
import { Bench, message, type Port, textOf } from "./support/bench.js";

const LIMITED = { keyName: "Services", key: "c2VuZCBhbmQgbGlzdGVu", rights: ["Send", "Listen"] } as const;
const bench = await Bench.start({ keys: [DEVELOPMENT_KEY, LIMITED] });
const { options, namespace } = bench.broker;
const asService = {
  connectionString: options.connectionString.replace(DEVELOPMENT_KEY.keyName, LIMITED.keyName).replace(DEVELOPMENT_KEY.key, LIMITED.key),
};
const admin = administrationOf({ ServiceBusAdministrationClient } as never, resolveOptions(options));

function plan(more: Partial<EndpointPlan> = {}): EndpointPlan {
  return { name: bench.name("orders"), subscribed: [], unsubscribed: [], retryDelaysMs: [1_000], order: "none", ...more };
}

async function refusal(port: Port, topology: TopologyPlan, mode: "create" | "verify" = "create"): Promise<string> {
  const error = await port.transport.provision(topology, mode).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toMatchObject({ code: "topology", retryable: false });
  return (error as Error).message;
}

async function rulesOf(topic: string, subscription: string): Promise<string[]> {
  const rules: string[] = [];
  for await (const { name, filter } of admin.listRules(topic, subscription))
    rules.push(`${name}: ${"sqlExpression" in filter && filter.sqlExpression}`);
  return rules;
}

describe("create", () => {
  test("makes queues and subscriptions that keep what they get, and lose nothing that expires or fits no filter", async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    await port.transport.provision({ events: [type], endpoints: [endpoint] }, "create");

    expect(await admin.getQueue(endpoint.name)).toMatchObject({
      requiresSession: false,
      requiresDuplicateDetection: false,
      deadLetteringOnMessageExpiration: true,
      lockDuration: "PT10S",
      maxDeliveryCount: 2_147_483_647,
      defaultMessageTimeToLive: "P10675199DT2H48M5.4775807S",
      autoDeleteOnIdle: "P10675199DT2H48M5.4775807S",
    });
    expect(await admin.getQueue(`${endpoint.name}.suspect`)).toMatchObject({ maxDeliveryCount: 2_147_483_647 });
    const subscription = await admin.getSubscription(type, endpoint.name);
    expect(subscription.forwardTo).toMatch(new RegExp(`/${endpoint.name}$`));
    expect(subscription).toMatchObject({
      deadLetteringOnMessageExpiration: true,
      deadLetteringOnFilterEvaluationExceptions: true,
      defaultMessageTimeToLive: "P10675199DT2H48M5.4775807S",
      autoDeleteOnIdle: "P10675199DT2H48M5.4775807S",
    });
  });

  test("makes a queue with sessions for order by key, and no queue for its suspects, which stay in their place", async () => {
    const port = await bench.port();
    const endpoint = plan({ order: "key" });
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    expect(await admin.getQueue(endpoint.name)).toMatchObject({ requiresSession: true });
    expect(await admin.queueExists(`${endpoint.name}.suspect`)).toBe(false);
  });

  test("ends well when many instances do it at one time, and when all is there", async () => {
    const type = bench.name("shop.Placed");
    const topology = { events: [type], endpoints: [plan({ subscribed: [type] })] };
    const ports = await Promise.all(Array.from({ length: 6 }, () => bench.port()));
    await Promise.all(ports.map((port) => port.transport.provision(topology, "create")));
    await ports[0]?.transport.provision(topology, "create");
  });

  test("puts the prefix before queues and topics, not before subscriptions", async () => {
    const port = await bench.port({}, "eu.");
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    expect(await admin.queueExists(`eu.${endpoint.name}`)).toBe(true);
    expect((await admin.getSubscription(`eu.${type}`, endpoint.name)).forwardTo).toMatch(new RegExp(`/eu\\.${endpoint.name}$`));
  });

  test("changes nothing that exists, and tells every difference at once, of all entities", async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type], order: "key" });
    namespace.createQueue(endpoint.name, {
      lockDuration: 5_000,
      requiresDuplicateDetection: true,
      maxDeliveryCount: 10,
      deadLetteringOnMessageExpiration: false,
      autoDeleteOnIdle: 600_000,
    });
    namespace.createTopic(type, { requiresDuplicateDetection: true });
    namespace.createSubscription(type, endpoint.name, { deadLetteringOnFilterEvaluationExceptions: false });
    const text = await refusal(port, { events: [], endpoints: [endpoint] });
    for (const part of [
      /requiresSession is false and should be true.*another name/,
      /requiresDuplicateDetection is true and should be false/,
      /lockDuration is PT5S and should be at least PT10S/,
      /maxDeliveryCount is 10 and should be 50/,
      /deadLetteringOnMessageExpiration is false/,
      /autoDeleteOnIdle is PT10M/,
      /topic .*requiresDuplicateDetection/,
      /forwardTo is not set and should be/,
      /deadLetteringOnFilterEvaluationExceptions is false/,
    ])
      expect(text).toMatch(part);
    expect((await admin.getQueue(endpoint.name)).lockDuration).toBe("PT5S");
  });

  test("takes what differs in nothing that matters: longer locks, a filter, another time to live, a limit of deliveries far above what is needed", async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    namespace.createQueue(endpoint.name, {
      lockDuration: 60_000,
      maxDeliveryCount: 50,
      deadLetteringOnMessageExpiration: true,
      defaultMessageTimeToLive: 86_400_000,
    });
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
  });

  test("without the right to manage names the right, and what can be done without it", async () => {
    const text = await refusal(await bench.port(asService), { events: [], endpoints: [plan()] });
    expect(text).toMatch(/right "Manage".*topology: "verify" or "none"/);
  });
});

describe("unsubscribe", () => {
  test("deletes the subscription", async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    await port.transport.provision({ events: [], endpoints: [{ ...endpoint, subscribed: [], unsubscribed: [type] }] }, "create");
    expect(await admin.subscriptionExists(type, endpoint.name)).toBe(false);
    await port.transport.provision({ events: [], endpoints: [{ ...endpoint, subscribed: [], unsubscribed: [type] }] }, "create");
  });

  test("keeps a subscription that has dead letters, which would go with it, and lets nothing more in", async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan();
    await port.transport.provision({ events: [type], endpoints: [endpoint] }, "create");
    namespace.createQueue(`${endpoint.name}.gone`);
    namespace.createSubscription(type, endpoint.name, { forwardTo: `${endpoint.name}.gone` });
    namespace.delete(`${endpoint.name}.gone`);
    await port.send(message({ event: type }, "kept"));

    await port.transport.provision({ events: [], endpoints: [{ ...endpoint, unsubscribed: [type] }] }, "create");
    await port.send(message({ event: type }, "not wanted"));
    expect(port.log.some((line) => /has dead letters.*kept/.test(line))).toBe(true);
    await port.transport.provision({ events: [], endpoints: [] }, "create");
    const letters = await (await bench.port()).letters(endpoint);
    expect(letters.map(textOf)).toEqual(["kept"]);
  });

  test("of a subscription that is kept for its dead letters ends with the next that subscribes to the type: verify tells it, create lets messages in again", async () => {
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    const first = await bench.port();
    await first.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    await admin.createRule(type, endpoint.name, "fails", { sqlExpression: "sys.NoSuchThing = 1" });
    await admin.deleteRule(type, endpoint.name, "$Default");
    await first.send(message({ event: type }, "kept"));
    await first.transport.provision({ events: [], endpoints: [{ ...endpoint, subscribed: [], unsubscribed: [type] }] }, "create");
    expect(await rulesOf(type, endpoint.name)).toEqual(["nothing: 1=0"]);

    const next = await bench.port();
    expect(await refusal(next, { events: [], endpoints: [endpoint] }, "verify")).toMatch(
      /subscription .*only rule is "nothing".*unsubscribe/,
    );
    await next.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    expect(await rulesOf(type, endpoint.name)).toEqual(["$Default: 1=1"]);
    await next.transport.provision({ events: [], endpoints: [endpoint] }, "verify");

    const inbox = await next.receive(endpoint);
    await next.send(message({ event: type }, "wanted again"));
    for (const delivery of await inbox.reach(1)) delivery.complete();
    expect(inbox.texts).toEqual(["wanted again"]);
    expect((await next.letters(endpoint)).map(textOf)).toEqual(["kept"]);
  });

  test("a filter that somebody set is left alone by whoever subscribes again", async () => {
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    const port = await bench.port();
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    await admin.createRule(type, endpoint.name, "nothing", { sqlExpression: "1=2" });
    await admin.deleteRule(type, endpoint.name, "$Default");
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "verify");
    expect(await rulesOf(type, endpoint.name)).toEqual(["nothing: 1=2"]);
  });
});

/** Timers of more than ten seconds, as those for looking after the topology, take so many times less; how long a request may take is less. */
function hurry(times: number): void {
  const { setTimeout } = globalThis;
  vi.spyOn(globalThis, "setTimeout").mockImplementation(((work: () => void, ms = 0) =>
    setTimeout(work, ms > 10_000 ? ms / times : ms)) as typeof setTimeout);
  onTestFinished(() => void vi.restoreAllMocks());
}

describe("versions of a service that run side by side, the newer without a type:", () => {
  test("the older brings the subscription back for as long as it runs, and the newer takes it back for good", async () => {
    hurry(20);
    const type = bench.name("shop.Placed");
    const before = plan({ subscribed: [type] });
    const after = { ...before, subscribed: [], unsubscribed: [type] };
    const older = await bench.port();
    await older.transport.provision({ events: [type], endpoints: [before] }, "create");
    await older.receive(before);
    const newer = await bench.port();
    await newer.transport.provision({ events: [], endpoints: [after] }, "create");
    await newer.receive(after);

    await expect.poll(() => admin.subscriptionExists(type, before.name), { timeout: 5_000, interval: 10 }).toBe(true);
    await older.close();
    await expect.poll(() => admin.subscriptionExists(type, before.name), { timeout: 5_000 }).toBe(false);
  });

  test("what the older brought back is ended once where it has dead letters, and stays", async () => {
    hurry(20);
    const type = bench.name("shop.Placed");
    const endpoint = plan({ unsubscribed: [type] });
    const newer = await bench.port();
    await newer.transport.provision({ events: [type], endpoints: [endpoint] }, "create");
    namespace.createSubscription(type, endpoint.name, { forwardTo: endpoint.name, userMetadata: "restored by trolleybus" }, [
      { name: "fails", filter: { kind: "sql", expression: "sys.NoSuchThing = 1" }, action: undefined },
    ]);
    await newer.send(message({ event: type }, "kept"));
    await newer.receive(endpoint);

    await expect.poll(() => rulesOf(type, endpoint.name), { timeout: 5_000 }).toEqual(["nothing: 1=0"]);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(newer.log.filter((line) => /has dead letters/.test(line))).toHaveLength(1);
    expect((await newer.letters(endpoint)).map(textOf)).toEqual(["kept"]);
  });

  test("whoever starts with the type, as after a rollback, keeps it, though the newer runs on", async () => {
    hurry(20);
    const type = bench.name("shop.Placed");
    const before = plan({ subscribed: [type] });
    const after = { ...before, subscribed: [], unsubscribed: [type] };
    const newer = await bench.port();
    await newer.transport.provision({ events: [type], endpoints: [after] }, "create");
    // As an older one would have brought it back, just before.
    namespace.createSubscription(type, before.name, {
      forwardTo: before.name,
      deadLetteringOnMessageExpiration: true,
      userMetadata: "restored by trolleybus",
    });
    const older = await bench.port();
    await older.transport.provision({ events: [], endpoints: [before] }, "create");
    expect(await admin.getSubscription(type, before.name)).toMatchObject({ userMetadata: undefined });

    await newer.receive(after);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await admin.subscriptionExists(type, before.name)).toBe(true);
  });
});

describe("verify", () => {
  test("tells everything that is missing, and makes nothing", async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    const text = await refusal(port, { events: [], endpoints: [endpoint] }, "verify");
    for (const what of [
      `queue "${endpoint.name}"`,
      `queue "${endpoint.name}.suspect"`,
      `topic "${type}"`,
      `subscription "${endpoint.name}"`,
    ])
      expect(text).toContain(`${what}`);
    expect(await admin.queueExists(endpoint.name)).toBe(false);
  });

  test("needs Send and Listen alone: what is missing is told, and what is there passes", async () => {
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    const service = await bench.port(asService);
    const text = await refusal(service, { events: [type], endpoints: [endpoint] }, "verify");
    for (const what of ["queue", "topic", "subscription"])
      expect(text).toMatch(new RegExp(`The ${what} ".*" is not there|The ${what} .* is not there`));
    await (await bench.port()).transport.provision({ events: [type], endpoints: [endpoint] }, "create");
    await service.transport.provision({ events: [type], endpoints: [endpoint] }, "verify");

    const inbox = await service.receive(endpoint);
    expect(await service.send(message({ event: type }, "event"), message({ endpoint: endpoint.name }, "command"))).toEqual([
      { outcome: "sent" },
      { outcome: "sent" },
    ]);
    for (const delivery of await inbox.reach(2)) await delivery.deadLetter({ "tb-reason": "failed" });
    expect((await service.letters(endpoint)).map(textOf).sort()).toEqual(["command", "event"]);
  });
});

describe("an entity that is deleted while the bus runs is made again:", () => {
  test.each(["orders", "user-sessions"])("the queue that is received from, called %s", async (name) => {
    const port = await bench.port();
    const endpoint = plan({ name: bench.name(name) });
    await port.transport.provision({ events: [], endpoints: [endpoint] }, "create");
    const inbox = await port.receive(endpoint);
    namespace.delete(endpoint.name);
    await expect.poll(() => admin.queueExists(endpoint.name), { timeout: 15_000 }).toBe(true);
    await expect.poll(() => port.send(message({ endpoint: endpoint.name }, "x")), { timeout: 15_000 }).toEqual([{ outcome: "sent" }]);
    for (const delivery of await inbox.reach(1)) delivery.complete();
  });

  test("the topic that is published to, with its subscriptions", { timeout: 90_000 }, async () => {
    const port = await bench.port();
    const type = bench.name("shop.Placed");
    const endpoint = plan({ subscribed: [type] });
    await port.transport.provision({ events: [type], endpoints: [endpoint] }, "create");
    const inbox = await port.receive(endpoint);
    await port.send(message({ event: type }, "before"));
    namespace.delete(type);
    await expect.poll(() => port.send(message({ event: type }, "after")), { timeout: 60_000 }).toEqual([{ outcome: "sent" }]);
    await inbox.reach(2);
    expect(inbox.texts.slice(0, 2)).toEqual(["before", "after"]);
    for (const delivery of inbox.deliveries) delivery.complete();
  });
});
