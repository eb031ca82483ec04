import type { CreateQueueOptions, CreateSubscriptionOptions, CreateTopicOptions, SqlRuleFilter } from "@azure/service-bus";
import { ServiceBusClient } from "@azure/service-bus";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator.js";
import { adminClient } from "../support/admin-client.js";

type Client = ReturnType<typeof adminClient>;

let emulator: Emulator;
let client: Client;

beforeAll(async () => {
  emulator = await startEmulator();
  client = adminClient(emulator.adminConnectionString);
});

afterAll(() => emulator.stop());

/** The code and status that a call fails with. */
async function failure(call: Promise<unknown>): Promise<{ code: string | undefined; statusCode: number | undefined; message: string }> {
  return call.then(
    () => {
      throw new Error("it did not fail");
    },
    ({ code, statusCode, message }: { code?: string; statusCode?: number; message: string }) => ({ code, statusCode, message }),
  );
}

describe("The administration client of JavaScript", () => {
  it("gets the defaults of Azure for a queue that was created by name alone", async () => {
    const queue = await client.createQueue("defaults");
    expect(queue).toMatchObject({
      name: "defaults",
      lockDuration: "PT1M",
      maxSizeInMegabytes: 1024,
      requiresDuplicateDetection: false,
      requiresSession: false,
      defaultMessageTimeToLive: "P10675199DT2H48M5.4775807S",
      deadLetteringOnMessageExpiration: false,
      duplicateDetectionHistoryTimeWindow: "PT10M",
      maxDeliveryCount: 10,
      enableBatchedOperations: true,
      status: "Active",
      autoDeleteOnIdle: "P10675199DT2H48M5.4775807S",
      enablePartitioning: false,
      enableExpress: false,
      maxMessageSizeInKilobytes: 256,
      availabilityStatus: "Available",
    });
    expect(queue.forwardTo).toBeUndefined();
    expect(queue.userMetadata).toBeUndefined();
    expect(queue.authorizationRules).toBeUndefined();
  });

  it("gets back every property of a queue as it was set", async () => {
    await client.createQueue("target");
    const options: CreateQueueOptions = {
      lockDuration: "PT45S",
      maxSizeInMegabytes: 2048,
      requiresDuplicateDetection: true,
      defaultMessageTimeToLive: "P1DT2H",
      deadLetteringOnMessageExpiration: true,
      duplicateDetectionHistoryTimeWindow: "PT1M30.5S",
      maxDeliveryCount: 15,
      enableBatchedOperations: false,
      status: "SendDisabled",
      userMetadata: `<notes> & "quotes" 'é' \u{1f680}`,
      autoDeleteOnIdle: "PT1H",
      enablePartitioning: true,
      maxMessageSizeInKilobytes: 256,
      authorizationRules: [
        {
          claimType: "SharedAccessKey",
          keyName: "send & listen",
          accessRights: ["Send", "Listen"],
          primaryKey: "cHJpbWFyeQ==",
          secondaryKey: "c2Vjb25kYXJ5",
        },
        { claimType: "SharedAccessKey", keyName: "manage", accessRights: ["Manage", "Send", "Listen"], primaryKey: "a", secondaryKey: "b" },
      ],
    };
    await client.createQueue("full", { ...options, forwardTo: "target", forwardDeadLetteredMessagesTo: "target" });
    const address = `sb://127.0.0.1:${emulator.adminPort}/target`;
    expect(await client.getQueue("FULL")).toMatchObject({
      ...options,
      // Of each of the 16 partitions.
      maxSizeInMegabytes: 16 * 2048,
      name: "full",
      forwardTo: address,
      forwardDeadLetteredMessagesTo: address,
    });
    const sessions = await client.createQueue("sessions", { requiresSession: true });
    expect(sessions.requiresSession).toBe(true);
  });

  it("changes a queue, also by leaving out what was set", async () => {
    const created = await client.createQueue("changing", { forwardTo: "target", userMetadata: "old", lockDuration: "PT30S" });
    const { forwardTo: _, userMetadata: __, ...queue } = await client.getQueue("changing");
    const updated = await client.updateQueue({ ...(queue as typeof created), maxDeliveryCount: 3, status: "ReceiveDisabled" });
    expect(updated).toMatchObject({ maxDeliveryCount: 3, status: "ReceiveDisabled", lockDuration: "PT30S" });
    const read = await client.getQueue("changing");
    expect(read.forwardTo).toBeUndefined();
    expect(read.userMetadata).toBeUndefined();
    expect(await failure(client.updateQueue({ ...read, requiresSession: true }))).toMatchObject({
      statusCode: 400,
      message: expect.stringContaining("The value for the RequiresSession property of an existing Queue cannot be changed"),
    });
    expect(await failure(client.updateQueue({ ...read, name: "missing" }))).toMatchObject({
      statusCode: 404,
      code: "MessageEntityNotFoundError",
    });
  });

  it("is told of names that exist, that do not, and of values that are wrong", async () => {
    await client.createQueue("twice");
    expect(await failure(client.createQueue("Twice"))).toMatchObject({ statusCode: 409, code: "MessageEntityAlreadyExistsError" });
    expect(await failure(client.createTopic("twice"))).toMatchObject({ statusCode: 409 });
    for (const call of [
      client.getQueue("missing"),
      client.getTopic("missing"),
      client.getSubscription("missing", "s"),
      client.deleteQueue("missing"),
      client.deleteTopic("missing"),
      client.deleteSubscription("missing", "s"),
      client.createSubscription("missing", "s"),
      client.createRule("missing", "s", "r", { sqlExpression: "1=1" }),
    ]) {
      expect((await failure(call)).code).toBe("MessageEntityNotFoundError");
    }
    const wrong = await failure(client.createQueue("wrong", { lockDuration: "PT6M" }));
    expect(wrong).toMatchObject({ statusCode: 400, code: "ServiceError" });
    expect(wrong.message).toContain("LockDuration");
    expect((await failure(client.createQueue("wrong", { lockDuration: "soon" }))).message).toContain("ISO 8601");
    const forwarding = await failure(client.createQueue("wrong", { forwardTo: "nowhere" }));
    expect(forwarding.message).toContain("SubCode=40400. The auto forwarding destination entity");
    expect(await client.queueExists("wrong")).toBe(false);
    expect(await client.queueExists("twice")).toBe(true);
    expect(await client.subscriptionExists("twice", "s")).toBe(false);
  });

  it("gets back every property of a topic and a subscription as it was set", async () => {
    const topicOptions: CreateTopicOptions = {
      defaultMessageTimeToLive: "P7D",
      maxSizeInMegabytes: 3072,
      requiresDuplicateDetection: true,
      duplicateDetectionHistoryTimeWindow: "PT20S",
      enableBatchedOperations: false,
      status: "Active",
      userMetadata: "of the topic",
      supportOrdering: false,
      autoDeleteOnIdle: "PT10M",
      maxMessageSizeInKilobytes: 256,
      authorizationRules: [{ claimType: "SharedAccessKey", keyName: "one", accessRights: ["Send"], primaryKey: "p", secondaryKey: "s" }],
    };
    await client.createTopic("events", topicOptions);
    expect(await client.getTopic("events")).toMatchObject({ ...topicOptions, name: "events" });
    const options: CreateSubscriptionOptions = {
      lockDuration: "PT2M",
      requiresSession: true,
      defaultMessageTimeToLive: "PT1H",
      deadLetteringOnMessageExpiration: true,
      deadLetteringOnFilterEvaluationExceptions: false,
      maxDeliveryCount: 2,
      enableBatchedOperations: false,
      status: "Active",
      userMetadata: "of the subscription",
      autoDeleteOnIdle: "PT15M",
    };
    await client.createSubscription("events", "all", { ...options, forwardDeadLetteredMessagesTo: "target" });
    const subscription = await client.getSubscription("events", "ALL");
    expect(subscription).toMatchObject({ ...options, topicName: "events", subscriptionName: "all", availabilityStatus: "Available" });
    expect(subscription.forwardDeadLetteredMessagesTo).toBe(`sb://127.0.0.1:${emulator.adminPort}/target`);
    const updated = await client.updateSubscription({ ...subscription, maxDeliveryCount: 9 });
    expect(updated.maxDeliveryCount).toBe(9);
    const topic = await client.updateTopic({ ...(await client.getTopic("events")), userMetadata: "new" });
    expect(topic.userMetadata).toBe("new");
  });

  it("gets back rules with typed parameters, properties and actions as they were set", async () => {
    await client.createTopic("rules");
    const at = new Date("2026-03-04T05:06:07.089Z");
    await client.createSubscription("rules", "s", { defaultRuleOptions: { name: "first", filter: { sqlExpression: "1=1" } } });
    await client.createRule(
      "rules",
      "s",
      "sql",
      {
        sqlExpression: "a < @max AND b <> '<&>\"' AND c = @flag",
        sqlParameters: { "@max": 3.5, "@flag": true, "@text": "<x>" },
      },
      { sqlExpression: "SET a = @v; REMOVE b", sqlParameters: { "@v": 7 } },
    );
    await client.createRule("rules", "s", "correlation", {
      correlationId: "c",
      messageId: "m",
      to: "t",
      replyTo: "r",
      subject: "s & <s>",
      sessionId: "si",
      replyToSessionId: "rs",
      contentType: "ct",
      applicationProperties: { number: 5, text: "x", flag: false, at },
    });
    const names: string[] = [];
    for await (const rule of client.listRules("rules", "s")) names.push(rule.name);
    expect(names).toEqual(["correlation", "first", "sql"]);
    expect(await client.getRule("rules", "s", "sql")).toMatchObject({
      name: "sql",
      filter: {
        sqlExpression: "a < @max AND b <> '<&>\"' AND c = @flag",
        sqlParameters: { "@max": 3.5, "@flag": true, "@text": "<x>" },
      },
      action: { sqlExpression: "SET a = @v; REMOVE b", sqlParameters: { "@v": 7 } },
    });
    expect((await client.getRule("rules", "s", "correlation")).filter).toEqual({
      correlationId: "c",
      messageId: "m",
      to: "t",
      replyTo: "r",
      subject: "s & <s>",
      sessionId: "si",
      replyToSessionId: "rs",
      contentType: "ct",
      applicationProperties: { number: 5, text: "x", flag: false, at },
    });
    const rule = await client.getRule("rules", "s", "first");
    await client.updateRule("rules", "s", { ...rule, filter: { sqlExpression: "2=2" }, action: {} });
    expect(((await client.getRule("rules", "s", "first")).filter as SqlRuleFilter).sqlExpression).toBe("2=2");
    expect(await failure(client.createRule("rules", "s", "sql", { sqlExpression: "1=1" }))).toMatchObject({ statusCode: 409 });
    expect(await failure(client.createRule("rules", "s", "bad", { sqlExpression: "a ==" }))).toMatchObject({ statusCode: 400 });
    await client.deleteRule("rules", "s", "first");
    expect(await client.ruleExists("rules", "s", "first")).toBe(false);
  });

  it("sees the rule that a subscription has when none was given", async () => {
    await client.createTopic("default-rule");
    await client.createSubscription("default-rule", "s");
    expect(await client.getRule("default-rule", "s", "$Default")).toMatchObject({ filter: { sqlExpression: "1=1" } });
  });

  it("counts messages by where they are", async () => {
    await client.createQueue("counted");
    await client.createTopic("counted-topic");
    await client.createSubscription("counted-topic", "s");
    const messages = new ServiceBusClient(emulator.connectionString);
    try {
      const sender = messages.createSender("counted");
      await sender.sendMessages([{ body: "1" }, { body: "2" }, { body: "3" }]);
      await sender.scheduleMessages({ body: "4" }, new Date(Date.now() + 60_000));
      const receiver = messages.createReceiver("counted");
      const [dead] = await receiver.receiveMessages(1);
      if (dead) await receiver.deadLetterMessage(dead);
      await messages.createSender("counted-topic").sendMessages({ body: "5" });
      await messages.createSender("counted-topic").scheduleMessages({ body: "6" }, new Date(Date.now() + 60_000));
    } finally {
      await messages.close();
    }
    const queue = await client.getQueueRuntimeProperties("counted");
    expect(queue).toMatchObject({
      activeMessageCount: 2,
      deadLetterMessageCount: 1,
      scheduledMessageCount: 1,
      totalMessageCount: 4,
      transferMessageCount: 0,
    });
    expect(queue.sizeInBytes).toBeGreaterThan(0);
    expect(queue.accessedAt.getTime()).toBeGreaterThanOrEqual(queue.createdAt.getTime());
    expect(Date.now() - queue.createdAt.getTime()).toBeLessThan(60_000);
    expect(await client.getSubscriptionRuntimeProperties("counted-topic", "s")).toMatchObject({
      activeMessageCount: 1,
      totalMessageCount: 1,
    });
    expect(await client.getTopicRuntimeProperties("counted-topic")).toMatchObject({ subscriptionCount: 1, scheduledMessageCount: 1 });
  });

  it("lists queues, topics, subscriptions and rules page by page", async () => {
    for (let i = 0; i < 5; i++) await client.createQueue(`page-${i}`);
    const pages: string[][] = [];
    for await (const page of client.listQueues().byPage({ maxPageSize: 3 })) pages.push(page.map((queue) => queue.name));
    const all: string[] = [];
    for await (const queue of client.listQueues()) all.push(queue.name);
    expect(pages.flat()).toEqual(all);
    expect(pages[0]).toHaveLength(3);
    expect(all.filter((name) => name.startsWith("page-"))).toHaveLength(5);
    expect([...all].sort()).toEqual(all);
    await client.createTopic("paged");
    for (let i = 0; i < 4; i++) await client.createSubscription("paged", `s${i}`);
    const sizes: number[] = [];
    for await (const page of client.listSubscriptions("paged").byPage({ maxPageSize: 2 })) sizes.push(page.length);
    expect(sizes).toEqual([2, 2]);
    const runtime: string[] = [];
    for await (const subscription of client.listSubscriptionsRuntimeProperties("paged")) runtime.push(subscription.subscriptionName);
    expect(runtime).toEqual(["s0", "s1", "s2", "s3"]);
    const topics: string[] = [];
    for await (const topic of client.listTopics()) topics.push(topic.name);
    expect(topics).toContain("paged");
  });

  it("deletes a topic with its subscriptions", async () => {
    await client.createTopic("leaving");
    await client.createSubscription("leaving", "s");
    await client.deleteTopic("leaving");
    expect(await client.topicExists("leaving")).toBe(false);
    await client.createTopic("leaving");
    expect(await client.subscriptionExists("leaving", "s")).toBe(false);
    await client.deleteQueue("defaults");
    expect(await client.queueExists("defaults")).toBe(false);
  });

  it("learns the namespace's name and tier", async () => {
    const namespace = await client.getNamespaceProperties();
    expect(namespace).toMatchObject({ name: "sbemulatorns", messagingSku: "Standard" });
    expect(namespace.createdAt).toBeInstanceOf(Date);
  });

  it("is refused with a wrong key", async () => {
    const stranger = adminClient(emulator.adminConnectionString.replace("SAS_KEY_VALUE", "wrong"));
    expect(await failure(stranger.getQueue("target"))).toMatchObject({ statusCode: 401, code: "UnauthorizedRequestError" });
    expect(await failure(stranger.getQueue("missing"))).toMatchObject({ statusCode: 401 });
    expect(await failure(stranger.createQueue("new"))).toMatchObject({ statusCode: 401 });
  });
});

describe("An emulator with other keys and another tier", () => {
  it("lets only a key with the right to manage administrate, and refuses what a Basic namespace does not have", async () => {
    const keys = [
      { keyName: "owner", key: "o" },
      { keyName: "listener", key: "l", rights: ["Listen"] as const },
    ];
    const basic = await startEmulator({ keys, tier: "Basic" });
    try {
      expect(basic.connectionString).toContain("SharedAccessKeyName=owner;SharedAccessKey=o;");
      const owner = adminClient(basic.adminConnectionString);
      const listener = adminClient(basic.adminConnectionString.replace("owner;SharedAccessKey=o", "listener;SharedAccessKey=l"));
      await owner.createQueue("q");
      const refused = async (call: Promise<unknown>): Promise<string> => {
        const { statusCode, message } = await failure(call);
        return `${statusCode} ${message}`;
      };
      expect(await refused(listener.getQueue("q"))).toMatch(/^401 Manage,EntityRead claims required for this operation\./);
      expect(await refused(listener.createQueue("new"))).toMatch(/^401 Authorization failed for specified action: Manage,EntityWrite\./);
      expect(await refused(listener.deleteQueue("q"))).toMatch(/^401 Authorization failed for specified action: Manage,EntityDelete\./);
      expect(await refused(listener.getSubscription("t", "s"))).toContain("Unauthorized access for 'GetSubscription' operation");
      expect((await owner.getNamespaceProperties()).messagingSku).toBe("Basic");
      expect((await failure(owner.createTopic("t"))).message).toContain("'Basic' tier");
      expect(await failure(owner.createQueue("s", { requiresSession: true }))).toMatchObject({ statusCode: 400 });
    } finally {
      await basic.stop();
    }
  });
});
