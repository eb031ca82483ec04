import { setTimeout as delay } from "node:timers/promises";
import type { ServiceBusReceivedMessage, ServiceBusReceiver } from "@azure/service-bus";
import Long from "long";
import { describe, expect, test } from "vitest";
import { BrokerServer } from "../support/broker-server.js";
import { eventually } from "../support/eventually.js";

const FIRST = { fromSequenceNumber: Long.ONE };

async function receiveOne(receiver: ServiceBusReceiver): Promise<ServiceBusReceivedMessage> {
  const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 10_000 });
  if (!message) throw new Error("no message came");
  return message;
}

describe("sending", () => {
  test("every property of a message arrives as it was sent", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const when = new Date(1_700_000_000_123);
    const sent = {
      body: { text: "grüße", list: [1, 2.5, null] },
      messageId: "m1",
      contentType: "application/json",
      correlationId: "c1",
      subject: "label",
      to: "somebody",
      replyTo: "q2",
      replyToSessionId: "rs",
      partitionKey: "pk",
      timeToLive: 60_000,
      applicationProperties: { text: "a", whole: 1, fraction: 1.5, yes: true, no: false, when, nothing: null },
    };
    await client.createSender("q").sendMessages(sent);
    const message = await receiveOne(client.createReceiver("q"));
    const { applicationProperties, ...others } = sent;
    expect(message).toMatchObject(others);
    expect(message.applicationProperties).toEqual({ ...applicationProperties, when: message.applicationProperties?.["when"] });
    expect(new Date(message.applicationProperties?.["when"] as Date).getTime()).toBe(when.getTime());
    expect(message).toMatchObject({ deliveryCount: 0, state: "active" });
    expect(message.sequenceNumber?.toNumber()).toBeGreaterThan(0);
    expect(message.enqueuedTimeUtc?.getTime()).toBeGreaterThan(Date.now() - 10_000);
    expect(message.lockedUntilUtc?.getTime()).toBeGreaterThan(Date.now());
    expect(message.expiresAtUtc?.getTime()).toBe((message.enqueuedTimeUtc?.getTime() ?? 0) + 60_000);
  });

  test("bodies of every kind arrive: text, bytes, AMQP values and sequences", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const bytes = Buffer.from([0, 255, 128, 10]);
    await client
      .createSender("q")
      .sendMessages([
        { body: "text" },
        { body: bytes },
        { body: 42 },
        { bodyType: "value", body: "a value" },
        { bodyType: "sequence", body: [["a", 1], ["b"]] },
        { bodyType: "data", body: bytes },
      ]);
    const messages = await client.createReceiver("q").receiveMessages(6, { maxWaitTimeInMs: 10_000 });
    expect(messages.map((message) => message.body)).toEqual(["text", bytes, 42, "a value", [["a", 1], ["b"]], bytes]);
  });

  test("a batch is stored whole and in order, and its size is limited by the link", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const sender = client.createSender("q");
    const batch = await sender.createMessageBatch();
    expect(batch.maxSizeInBytes).toBe(262_144);
    let count = 0;
    while (batch.tryAddMessage({ body: Buffer.alloc(1_000), messageId: `m${count}` })) count++;
    expect(count).toBeGreaterThan(240);
    await sender.sendMessages(batch);
    const messages = await client.createReceiver("q").peekMessages(1_000, FIRST);
    expect(messages.map((message) => message.messageId)).toEqual(Array.from({ length: count }, (_, i) => `m${i}`));
  });

  test("a message of more than one frame arrives whole, one over the limit is refused and the sender goes on", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const sender = client.createSender("q");
    const large = Buffer.alloc(250_000, "0123456789");
    await sender.sendMessages({ body: large });
    await expect(sender.sendMessages({ body: Buffer.alloc(300_000) })).rejects.toMatchObject({
      code: "MessageSizeExceeded",
      retryable: false,
    });
    await sender.sendMessages({ body: "small" });
    const messages = await client.createReceiver("q").receiveMessages(2, { maxWaitTimeInMs: 10_000 });
    expect(large.equals(messages[0]?.body as Buffer)).toBe(true);
    expect(messages[1]?.body).toBe("small");
  });

  test("a queue that does not exist is told by its code", async () => {
    await using broker = await BrokerServer.start();
    const client = broker.client();
    await expect(client.createSender("missing").sendMessages({ body: 1 })).rejects.toMatchObject({ code: "MessagingEntityNotFound" });
    await expect(client.createReceiver("missing").receiveMessages(1)).rejects.toMatchObject({ code: "MessagingEntityNotFound" });
    await expect(client.createReceiver("missing").peekMessages(1)).rejects.toMatchObject({ code: "MessagingEntityNotFound" });
  });

  test("a throttled send is refused as busy, and the SDK sends it again", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const impatient = broker.client().createSender("q");
    broker.namespace.throttle(1_000);
    await expect(impatient.sendMessages({ body: 1 })).rejects.toMatchObject({ code: "ServiceBusy", retryable: true });
    await broker
      .client({ retryOptions: { maxRetries: 10, retryDelayInMs: 200, timeoutInMs: 10_000 } })
      .createSender("q")
      .sendMessages({ body: 2 });
    const receiver = broker.client().createReceiver("q");
    expect((await receiveOne(receiver)).body).toBe(2);
  });
});

describe("settling", () => {
  test("abandon gives the message back at once, counts the delivery and changes properties", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages({ body: 1, applicationProperties: { kept: "a", changed: "b" } });
    const receiver = client.createReceiver("q");
    await receiver.abandonMessage(await receiveOne(receiver), { changed: "c", added: 7 });
    const again = await receiveOne(receiver);
    expect(again.deliveryCount).toBe(1);
    expect(again.applicationProperties).toEqual({ kept: "a", changed: "c", added: 7 });
  });

  test("a message that is abandoned too often goes to the dead-letter queue with the reason", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q", { maxDeliveryCount: 2 });
    const client = broker.client();
    await client.createSender("q").sendMessages({ body: 1 });
    const receiver = client.createReceiver("q");
    await receiver.abandonMessage(await receiveOne(receiver));
    await receiver.abandonMessage(await receiveOne(receiver));
    const dead = await receiveOne(client.createReceiver("q", { subQueueType: "deadLetter" }));
    expect(dead).toMatchObject({ body: 1, deadLetterReason: "MaxDeliveryCountExceeded" });
    expect(await receiver.peekMessages(1, FIRST)).toEqual([]);
  });

  test("dead-letter keeps the message with reason, description and properties, and it can be read and completed there", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages({ body: { a: 1 }, messageId: "m", applicationProperties: { own: 1 } });
    const receiver = client.createReceiver("q");
    await receiver.deadLetterMessage(await receiveOne(receiver), {
      deadLetterReason: "broken",
      deadLetterErrorDescription: "cannot be read",
      extra: "x",
    });
    const deadLetters = client.createReceiver("q", { subQueueType: "deadLetter" });
    const dead = await receiveOne(deadLetters);
    expect(dead).toMatchObject({
      body: { a: 1 },
      messageId: "m",
      deadLetterReason: "broken",
      deadLetterErrorDescription: "cannot be read",
    });
    expect(dead.applicationProperties).toMatchObject({ own: 1, extra: "x" });
    await deadLetters.completeMessage(dead);
    expect(await deadLetters.peekMessages(1, FIRST)).toEqual([]);
  });

  test("a deferred message comes back by its sequence number alone, and can be settled then", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages([{ body: 1 }, { body: 2 }]);
    const receiver = client.createReceiver("q");
    const first = await receiveOne(receiver);
    await receiver.deferMessage(first, { why: "later" });
    expect((await receiveOne(receiver)).body).toBe(2);
    expect((await receiver.peekMessages(1, FIRST))[0]).toMatchObject({ body: 1, state: "deferred" });
    const sequenceNumber = first.sequenceNumber ?? Long.ZERO;
    const [deferred] = await receiver.receiveDeferredMessages(sequenceNumber);
    expect(deferred).toMatchObject({ body: 1, applicationProperties: { why: "later" } });
    if (deferred) await receiver.completeMessage(deferred);
    await expect(receiver.receiveDeferredMessages(sequenceNumber)).rejects.toMatchObject({ code: "MessageNotFound" });
  });

  test("a lock can be renewed, and when it is lost, settling fails with the code for it", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q", { lockDuration: 30_000 });
    const client = broker.client();
    await client.createSender("q").sendMessages({ body: 1 });
    const receiver = client.createReceiver("q", { maxAutoLockRenewalDurationInMs: 0 });
    const message = await receiveOne(receiver);
    await delay(20);
    const until = await receiver.renewMessageLock(message);
    expect(until.getTime()).toBeGreaterThan(Date.now() + 20_000);
    broker.namespace.expireLocks();
    await expect(receiver.completeMessage(message)).rejects.toMatchObject({ code: "MessageLockLost" });
    await expect(receiver.renewMessageLock(message)).rejects.toMatchObject({ code: "MessageLockLost" });
    expect((await receiveOne(receiver)).deliveryCount).toBe(1);
  });

  test("a lock that nobody renews is lost when its time is over", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q", { lockDuration: 1_000 });
    const client = broker.client();
    await client.createSender("q").sendMessages({ body: 1 });
    const receiver = client.createReceiver("q", { maxAutoLockRenewalDurationInMs: 0 });
    const first = await receiveOne(receiver);
    const again = await receiveOne(receiver);
    expect(again.deliveryCount).toBe(1);
    expect(Date.now()).toBeGreaterThanOrEqual(first.lockedUntilUtc?.getTime() ?? Number.POSITIVE_INFINITY);
  });

  test("receive-and-delete leaves nothing behind", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages([{ body: 1 }, { body: 2 }, { body: 3 }]);
    const receiver = client.createReceiver("q", { receiveMode: "receiveAndDelete" });
    const messages = await receiver.receiveMessages(2, { maxWaitTimeInMs: 10_000 });
    expect(messages.map((message) => message.body)).toEqual([1, 2]);
    expect((await receiver.peekMessages(10, FIRST)).map((message) => message.body)).toEqual([3]);
  });
});

describe("receiving", () => {
  test("a subscriber gets as many messages at a time as it wants to handle, and each once", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages(Array.from({ length: 40 }, (_, i) => ({ body: i })));
    const receiver = client.createReceiver("q");
    const seen: number[] = [];
    let running = 0;
    let most = 0;
    receiver.subscribe(
      {
        processMessage: async (message) => {
          most = Math.max(most, ++running);
          await delay(5);
          seen.push(message.body as number);
          running--;
        },
        processError: async ({ error }) => {
          throw error;
        },
      },
      { maxConcurrentCalls: 5 },
    );
    await eventually(() => expect(seen.length).toBe(40));
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    expect(most).toBe(5);
    await eventually(async () => expect(await receiver.peekMessages(1, FIRST)).toEqual([]));
  });

  test("two receivers of a queue get disjoint messages", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages(Array.from({ length: 100 }, (_, i) => ({ body: i })));
    const [a, b] = await Promise.all([
      client.createReceiver("q").receiveMessages(50, { maxWaitTimeInMs: 10_000 }),
      broker.client().createReceiver("q").receiveMessages(50, { maxWaitTimeInMs: 10_000 }),
    ]);
    expect(new Set([...a, ...b].map((message) => message.body)).size).toBe(100);
  });

  test("an empty queue answers after the wait that was asked for, and the receiver can be used again", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const receiver = client.createReceiver("q");
    const begun = Date.now();
    expect(await receiver.receiveMessages(5, { maxWaitTimeInMs: 300 })).toEqual([]);
    expect(Date.now() - begun).toBeLessThan(5_000);
    for (let i = 0; i < 3; i++) {
      await client.createSender("q").sendMessages({ body: i });
      expect((await receiver.receiveMessages(5, { maxWaitTimeInMs: 5_000 })).map((message) => message.body)).toEqual([i]);
    }
  });

  test("peek goes through all messages page by page, in any state, and locks nothing", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const sender = client.createSender("q");
    await sender.sendMessages(Array.from({ length: 300 }, (_, i) => ({ body: i })));
    await sender.scheduleMessages({ body: 300 }, new Date(Date.now() + 60_000));
    const receiver = client.createReceiver("q");
    await receiveOne(receiver);
    const seen: unknown[] = [];
    for (let page = await receiver.peekMessages(100); page.length > 0; page = await receiver.peekMessages(100)) {
      expect(page.length).toBeLessThanOrEqual(100);
      seen.push(...page.map((message) => message.body));
    }
    expect(seen).toEqual(Array.from({ length: 301 }, (_, i) => i));
    expect((await receiver.peekMessages(1, { fromSequenceNumber: Long.fromNumber(301) }))[0]).toMatchObject({
      body: 300,
      state: "scheduled",
    });
  });

  test("messages in a queue can be purged and deleted in batches", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    await client.createSender("q").sendMessages(Array.from({ length: 30 }, (_, i) => ({ body: i })));
    const receiver = client.createReceiver("q") as ServiceBusReceiver & {
      deleteMessages?: (options: { maxMessageCount: number }) => Promise<number>;
      purgeMessages?: () => Promise<number>;
    };
    if (!receiver.deleteMessages || !receiver.purgeMessages) return;
    expect(await receiver.deleteMessages({ maxMessageCount: 10 })).toBe(10);
    expect(await receiver.purgeMessages()).toBe(20);
  });
});

describe("scheduling", () => {
  test("a scheduled message is there when it is due and not before; a cancelled one never", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const sender = client.createSender("q");
    const due = new Date(Date.now() + 3_000);
    const numbers = await sender.scheduleMessages([{ body: "due" }, { body: "cancelled" }], due);
    expect(numbers.length).toBe(2);
    await sender.cancelScheduledMessages(numbers[1] ?? Long.ZERO);
    const receiver = client.createReceiver("q");
    expect((await receiver.peekMessages(5, FIRST)).map((peeked) => [peeked.body, peeked.state])).toEqual([["due", "scheduled"]]);
    const message = await receiveOne(receiver);
    expect(message.body).toBe("due");
    expect(Date.now()).toBeGreaterThanOrEqual(due.getTime());
    expect(message.scheduledEnqueueTimeUtc?.getTime()).toBe(due.getTime());
    await expect(sender.cancelScheduledMessages(numbers)).rejects.toMatchObject({ code: "MessageNotFound" });
  });

  test("the property on a message that is simply sent schedules it too", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client();
    const due = new Date(Date.now() + 500);
    await client.createSender("q").sendMessages({ body: 1, scheduledEnqueueTimeUtc: due });
    await receiveOne(client.createReceiver("q"));
    expect(Date.now()).toBeGreaterThanOrEqual(due.getTime());
  });
});

describe("connections", () => {
  test("a subscriber goes on after its links were detached, and after its connection was cut", async () => {
    await using broker = await BrokerServer.start();
    broker.namespace.createQueue("q");
    const client = broker.client({ retryOptions: { maxRetries: 5, retryDelayInMs: 50, timeoutInMs: 1_000 } });
    const seen: unknown[] = [];
    client.createReceiver("q").subscribe({
      processMessage: async (message) => void seen.push(message.body),
      processError: async () => {},
    });
    const sender = client.createSender("q");
    await sender.sendMessages({ body: 1 });
    await eventually(() => expect(seen).toEqual([1]));
    broker.server.detachLinks();
    await sender.sendMessages({ body: 2 });
    await eventually(() => expect(seen).toEqual([1, 2]));
    broker.server.dropConnections();
    await sender.sendMessages({ body: 3 });
    await eventually(() => expect(seen).toEqual([1, 2, 3]));
    expect(broker.server.connections).toBe(1);
  });
});
