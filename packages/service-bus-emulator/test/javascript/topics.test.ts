import type { ServiceBusReceiver } from "@azure/service-bus";
import Long from "long";
import { expect, test } from "vitest";
import { BrokerServer } from "../support/broker-server.js";

async function bodies(receiver: ServiceBusReceiver, atMost: number): Promise<unknown[]> {
  const messages = await receiver.receiveMessages(atMost, { maxWaitTimeInMs: 10_000 });
  for (const message of messages) await receiver.completeMessage(message);
  return messages.map((message) => message.body);
}

test("every subscription gets its own copy", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createTopic("t");
  broker.namespace.createSubscription("t", "a");
  broker.namespace.createSubscription("t", "b");
  const client = broker.client();
  await client.createSender("t").sendMessages({ body: 1 });
  expect(await bodies(client.createReceiver("t", "a"), 1)).toEqual([1]);
  expect(await bodies(client.createReceiver("t", "b"), 1)).toEqual([1]);
});

test("rules are added, listed and removed by the SDK's rule manager, and decide what comes in", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createTopic("t");
  broker.namespace.createSubscription("t", "s");
  const client = broker.client();
  const rules = client.createRuleManager("t", "s");
  await rules.deleteRule("$Default");
  await rules.createRule("sql", { sqlExpression: "color = 'red' AND size > 2" }, { sqlExpression: "SET seen = 'yes'" });
  await rules.createRule("correlation", { subject: "blue", applicationProperties: { size: 1 } });
  await expect(rules.createRule("sql", { sqlExpression: "1=1" })).rejects.toMatchObject({ code: "MessagingEntityAlreadyExists" });
  await expect(rules.deleteRule("missing")).rejects.toMatchObject({ code: "MessagingEntityNotFound" });
  const listed = [];
  for await (const rule of rules.listRules()) listed.push(rule);
  expect(listed.map((rule) => rule.name).sort()).toEqual(["correlation", "sql"]);
  expect(listed.find((rule) => rule.name === "sql")).toMatchObject({
    filter: { sqlExpression: "color = 'red' AND size > 2" },
    action: { sqlExpression: "SET seen = 'yes'" },
  });
  expect(listed.find((rule) => rule.name === "correlation")).toMatchObject({
    filter: { subject: "blue", applicationProperties: { size: 1 } },
  });

  await client.createSender("t").sendMessages([
    { body: "red 3", applicationProperties: { color: "red", size: 3 } },
    { body: "red 1", applicationProperties: { color: "red", size: 1 } },
    { body: "blue 1", subject: "blue", applicationProperties: { size: 1 } },
    { body: "blue 2", subject: "blue", applicationProperties: { size: 2 } },
  ]);
  const receiver = client.createReceiver("t", "s");
  const messages = await receiver.receiveMessages(2, { maxWaitTimeInMs: 10_000 });
  expect(messages.map((message) => message.body)).toEqual(["red 3", "blue 1"]);
  expect(messages[0]?.applicationProperties).toMatchObject({ seen: "yes" });
  expect((await receiver.peekMessages(10, { fromSequenceNumber: Long.ONE })).length).toBe(2);
});

test("a subscription has a dead-letter queue, and receives what was scheduled on the topic", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createTopic("t");
  broker.namespace.createSubscription("t", "s");
  const client = broker.client();
  await client.createSender("t").scheduleMessages({ body: 1 }, new Date(Date.now() + 300));
  const receiver = client.createReceiver("t", "s");
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 10_000 });
  if (!message) throw new Error("no message came");
  await receiver.deadLetterMessage(message, { deadLetterReason: "r", deadLetterErrorDescription: "d" });
  const [dead] = await client.createReceiver("t", "s", { subQueueType: "deadLetter" }).receiveMessages(1);
  expect(dead).toMatchObject({ body: 1, deadLetterReason: "r" });
});

test("what is forwarded arrives in the target, and the source cannot be received from", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("target");
  broker.namespace.createTopic("t");
  broker.namespace.createSubscription("t", "s", { forwardTo: "target" });
  broker.namespace.createQueue("first", { forwardTo: "target" });
  const client = broker.client();
  await client.createSender("t").sendMessages({ body: 1, messageId: "m", applicationProperties: { a: 1 } });
  await client.createSender("first").sendMessages({ body: 2 });
  const receiver = client.createReceiver("target");
  const messages = await receiver.receiveMessages(2, { maxWaitTimeInMs: 10_000 });
  expect(messages.map((message) => message.body)).toEqual([1, 2]);
  expect(messages[0]).toMatchObject({ messageId: "m", applicationProperties: { a: 1 } });
  await expect(client.createReceiver("t", "s").receiveMessages(1)).rejects.toMatchObject({ retryable: false });
});

test("what cannot be forwarded is in the transfer dead-letter queue", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("target", { requiresSession: true });
  broker.namespace.createQueue("source", { forwardTo: "target" });
  const client = broker.client();
  await client.createSender("source").sendMessages({ body: 1 });
  const [dead] = await client
    .createReceiver("source", { subQueueType: "transferDeadLetter" })
    .receiveMessages(1, { maxWaitTimeInMs: 10_000 });
  expect(dead?.body).toBe(1);
});

test("dead letters that are forwarded say where they come from", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("graveyard");
  broker.namespace.createQueue("q", { forwardDeadLetteredMessagesTo: "graveyard" });
  const client = broker.client();
  await client.createSender("q").sendMessages({ body: 1 });
  const receiver = client.createReceiver("q");
  const [message] = await receiver.receiveMessages(1);
  if (message) await receiver.deadLetterMessage(message, { deadLetterReason: "r", deadLetterErrorDescription: "d" });
  const [dead] = await client.createReceiver("graveyard").receiveMessages(1, { maxWaitTimeInMs: 10_000 });
  expect(dead).toMatchObject({ body: 1, deadLetterSource: "q", deadLetterReason: "r" });
});

test("duplicates within the window are accepted and not stored", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q", { requiresDuplicateDetection: true });
  const client = broker.client();
  const sender = client.createSender("q");
  await sender.sendMessages({ body: 1, messageId: "same" });
  await sender.sendMessages([
    { body: 2, messageId: "same" },
    { body: 3, messageId: "other" },
  ]);
  expect((await client.createReceiver("q").peekMessages(5, { fromSequenceNumber: Long.ONE })).map((message) => message.body)).toEqual([
    1, 3,
  ]);
});
