import { describe, expect, it } from "vitest";
import { int, stringMap } from "../../src/amqp/values.js";
import { message, namespaceOfTest, propertiesOf, receive, refusal, textOfMessage } from "../support/broker.js";

const texts = (count: number, from = 1): string[] => Array.from({ length: count }, (_, i) => `m${from + i}`);

describe("A queue", () => {
  it("delivers in the order of arrival and numbers its messages from 1", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("orders");
    queue.send(texts(3).map((text) => message(text)));
    const receiver = receive(queue);
    queue.send([message("m4")]);
    expect(receiver.texts).toEqual(["m1", "m2", "m3", "m4"]);
    expect(receiver.deliveries.map((delivery) => delivery.message.sequenceNumber)).toEqual([1n, 2n, 3n, 4n]);
    expect(receiver.deliveryCounts).toEqual([0, 0, 0, 0]);
  });

  it("is found under any letter case, with scheme and host or without", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("Sales/Orders");
    expect(namespace.find("sales/ORDERS")).toBe(queue);
    expect(namespace.find("sb://localhost:5672/Sales/Orders/")).toBe(queue);
    expect(namespace.find("/sales/orders/$deadletterQUEUE")).toBe(queue.deadLetters);
    expect(namespace.find("sales/orders/$Transfer/$DeadLetterQueue")).toBe(queue.transferDeadLetters);
    expect(namespace.find("sales")).toBeUndefined();
  });

  it("delivers exactly as many messages as there is credit", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send(texts(5).map((text) => message(text)));
    const receiver = receive(queue, 2);
    expect(receiver.texts).toEqual(["m1", "m2"]);
    expect(receiver.link.credit).toBe(0);
    receiver.link.setCredit(10);
    receiver.link.setCredit(0);
    queue.send([message("m6")]);
    expect(receiver.texts).toEqual(["m1", "m2", "m3", "m4", "m5"]);
  });

  it("gives two receivers disjoint messages, each its share", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const [one, two] = [receive(queue), receive(queue)];
    queue.send(texts(100).map((text) => message(text)));
    expect(one.deliveries).toHaveLength(50);
    expect(two.deliveries).toHaveLength(50);
    expect(new Set([...one.texts, ...two.texts]).size).toBe(100);
  });

  it("forgets a completed message and refuses to settle it twice", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send([message("m1")]);
    const { lockToken } = receive(queue).last;
    queue.settle(lockToken, { kind: "complete" });
    expect(queue.peek(0n, 10)).toEqual([]);
    expect(refusal(() => queue.settle(lockToken, { kind: "complete" })).condition).toBe("com.microsoft:message-lock-lost");
  });

  it("redelivers an abandoned message at once, in its place, with a higher delivery count", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send(texts(3).map((text) => message(text)));
    const receiver = receive(queue, 1);
    queue.settle(receiver.last.lockToken, { kind: "abandon" });
    receiver.link.setCredit(2);
    expect(receiver.texts).toEqual(["m1", "m1", "m2"]);
    expect(receiver.deliveries.map((delivery) => delivery.message.sequenceNumber)).toEqual([1n, 1n, 2n]);
    expect(receiver.deliveryCounts).toEqual([0, 1, 0]);
  });

  it("takes a released message back to its place without counting the delivery", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q", { maxDeliveryCount: 1 });
    queue.send(texts(2).map((text) => message(text)));
    const receiver = receive(queue, 1);
    queue.settle(receiver.last.lockToken, { kind: "release" });
    receiver.link.setCredit(2);
    expect(receiver.texts).toEqual(["m1", "m1", "m2"]);
    expect(receiver.deliveryCounts).toEqual([0, 0, 0]);
  });

  it("puts properties that come with an abandon into the application properties, and nothing else changes", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send([message("m1", { properties: { count: int(3), keep: 2n < 3n } })]);
    const receiver = receive(queue, 1);
    queue.settle(receiver.last.lockToken, { kind: "abandon", properties: new Map([["count", int(4)]]) });
    receiver.link.setCredit(1);
    expect(propertiesOf(receiver.last.message)).toEqual({ count: int(4), keep: true });
    expect(textOfMessage(receiver.last.message)).toBe("m1");
  });

  it("dead-letters a message that was delivered as often as MaxDeliveryCount says", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q", { maxDeliveryCount: 3 });
    queue.send([message("m1")]);
    const receiver = receive(queue);
    for (let attempt = 0; attempt < 3; attempt++) queue.settle(receiver.last.lockToken, { kind: "abandon" });
    expect(receiver.deliveries).toHaveLength(3);
    const dead = receive(queue.deadLetters).last.message;
    expect(propertiesOf(dead)).toEqual({
      DeadLetterReason: "MaxDeliveryCountExceeded",
      DeadLetterErrorDescription: "Message could not be consumed after 3 delivery attempts.",
    });
    expect(dead.deadLetterSource).toBeUndefined();
  });

  it("carries a message byte for byte into the dead-letter queue but for the reason, the description and the given properties", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const sent = message("m1", { properties: { nested: stringMap({ a: int(1) }) } });
    queue.send([sent]);
    const properties = new Map([["why", "because"]]);
    queue.settle(receive(queue).last.lockToken, { kind: "dead-letter", reason: "Broken", description: "It broke.", properties });
    const dead = receive(queue.deadLetters).last.message;
    expect(propertiesOf(dead)).toEqual({
      nested: stringMap({ a: int(1) }),
      why: "because",
      DeadLetterReason: "Broken",
      DeadLetterErrorDescription: "It broke.",
    });
    expect(dead.enqueuedSequenceNumber).toBe(1n);
    expect(sent.bare.includes(dead.bare.subarray(-4))).toBe(true);
  });

  it("keeps a dead letter through locks that expire, and does not dead-letter it again", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { maxDeliveryCount: 1, defaultMessageTimeToLive: 1000 });
    queue.send([message("m1")]);
    queue.settle(receive(queue, 1).last.lockToken, { kind: "dead-letter", reason: undefined, description: undefined });
    const receiver = receive(queue.deadLetters);
    clock.advance(10 * 60_000);
    expect(receiver.deliveries.length).toBe(11);
    expect(
      refusal(() => queue.deadLetters.settle(receiver.last.lockToken, { kind: "dead-letter", reason: "x", description: "y" })).condition,
    ).toBe("amqp:not-allowed");
    expect(queue.deadLetters.peek(0n, 10)).toHaveLength(1);
  });

  it("lets a lock end to the millisecond, counts it as a delivery and delivers again", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { lockDuration: 5000 });
    queue.send([message("m1")]);
    const receiver = receive(queue);
    const first = receiver.last;
    expect(first.lockedUntil).toBe(clock.now() + 5000);
    clock.advance(4999);
    expect(receiver.deliveries).toHaveLength(1);
    clock.advance(1);
    expect(receiver.deliveries).toHaveLength(2);
    expect(receiver.last.message.deliveryCount).toBe(1);
    expect(refusal(() => queue.settle(first.lockToken, { kind: "complete" })).condition).toBe("com.microsoft:message-lock-lost");
    queue.settle(receiver.last.lockToken, { kind: "complete" });
  });

  it("renews locks, all or none", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { lockDuration: 5000 });
    queue.send(texts(2).map((text) => message(text)));
    const receiver = receive(queue, 2);
    const tokens = receiver.deliveries.map((delivery) => delivery.lockToken);
    clock.advance(3000);
    expect(queue.renewLocks(tokens)).toEqual([clock.now() + 5000, clock.now() + 5000]);
    clock.advance(4999);
    for (const token of tokens) queue.settle(token, { kind: "complete" });
    expect(refusal(() => queue.renewLocks(tokens)).condition).toBe("com.microsoft:message-lock-lost");
  });

  it("ends a lock in time after the lock duration was made shorter", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { lockDuration: 60_000 });
    queue.send(texts(2).map((text) => message(text)));
    const receiver = receive(queue, 1);
    namespace.updateQueue(queue, { ...queue.description, lockDuration: 1000 });
    receiver.link.setCredit(1);
    clock.advance(1000);
    receiver.link.setCredit(1);
    expect(receiver.texts).toEqual(["m1", "m2", "m2"]);
  });

  it("keeps the locks of a receiver that went away until they end", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { lockDuration: 5000 });
    queue.send([message("m1")]);
    receive(queue).link.close();
    const second = receive(queue);
    expect(second.deliveries).toHaveLength(0);
    clock.advance(5000);
    expect(second.texts).toEqual(["m1"]);
  });

  it("delivers nothing to a receiver that was closed", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const receiver = receive(queue);
    receiver.link.close();
    receiver.link.setCredit(5);
    queue.send([message("m1")]);
    expect(receiver.deliveries).toEqual([]);
    expect(receive(queue).texts).toEqual(["m1"]);
  });

  it("removes what it delivers in receive-and-delete mode", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send(texts(3).map((text) => message(text)));
    const receiver = receive(queue, 2, "receive-and-delete");
    expect(receiver.texts).toEqual(["m1", "m2"]);
    expect(receiver.last.lockedUntil).toBeUndefined();
    expect(queue.peek(0n, 10).map(textOfMessage)).toEqual(["m3"]);
  });

  it("keeps deferred messages aside until they are asked for by number", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { defaultMessageTimeToLive: 60_000, deadLetteringOnMessageExpiration: true });
    queue.send(texts(2).map((text) => message(text)));
    const receiver = receive(queue, 1);
    queue.settle(receiver.last.lockToken, { kind: "defer", properties: new Map([["later", true]]) });
    receiver.link.setCredit(5);
    expect(receiver.texts).toEqual(["m1", "m2"]);
    queue.settle(receiver.last.lockToken, { kind: "complete" });
    clock.advance(120_000);
    expect(queue.peek(0n, 10)[0]?.state).toBe(1);
    const [deferred] = queue.receiveDeferred([1n], "peek-lock");
    expect(deferred && propertiesOf(deferred.message)).toEqual({ later: true });
    expect(refusal(() => queue.receiveDeferred([1n], "peek-lock")).condition).toBe("com.microsoft:message-not-found");
    if (deferred) queue.settle(deferred.lockToken, { kind: "abandon" });
    expect(receiver.texts).toEqual(["m1", "m2"]);
    expect(queue.receiveDeferred([1n], "receive-and-delete")).toHaveLength(1);
    expect(queue.peek(0n, 10)).toEqual([]);
  });

  it("refuses a request for deferred messages as a whole when one of them is not deferred", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send(texts(2).map((text) => message(text)));
    queue.settle(receive(queue, 1).last.lockToken, { kind: "defer" });
    expect(refusal(() => queue.receiveDeferred([1n, 2n], "peek-lock")).condition).toBe("com.microsoft:message-not-found");
    expect(queue.receiveDeferred([1n], "peek-lock")).toHaveLength(1);
  });

  it("shows messages of every state to who peeks, page by page", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send(texts(5).map((text) => message(text)));
    queue.schedule([message("later", { scheduledAt: clock.now() + 1000 })]);
    const receiver = receive(queue, 2);
    queue.settle(receiver.deliveries[0]?.lockToken as Buffer, { kind: "defer" });
    const first = queue.peek(1n, 4);
    expect(first.map(textOfMessage)).toEqual(["m1", "m2", "m3", "m4"]);
    const rest = queue.peek((first.at(-1)?.sequenceNumber ?? 0n) + 1n, 4);
    expect(rest.map(textOfMessage)).toEqual(["m5", "later"]);
    expect([...first, ...rest].map((peeked) => peeked.state)).toEqual([1, 0, 0, 0, 0, 2]);
    expect(queue.peek(7n, 4)).toEqual([]);
  });

  it("holds a scheduled message until its time and gives it a new sequence number then", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const at = clock.now() + 10_000;
    expect(queue.schedule([message("later", { scheduledAt: at })])).toEqual([1n]);
    queue.send([message("now"), message("also later", { scheduledAt: at })]);
    const receiver = receive(queue);
    expect(receiver.texts).toEqual(["now"]);
    clock.advance(9999);
    expect(receiver.texts).toEqual(["now"]);
    clock.advance(1);
    expect(receiver.texts).toEqual(["now", "later", "also later"]);
    const { message: scheduled } = receiver.deliveries[1] as {
      message: { sequenceNumber: bigint; enqueuedSequenceNumber: bigint; enqueuedTime: number };
    };
    expect(scheduled.sequenceNumber).toBe(4n);
    expect(scheduled.enqueuedSequenceNumber).toBe(1n);
    expect(scheduled.enqueuedTime).toBe(at);
  });

  it("delivers a message at once whose scheduled time has passed", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send([message("late", { scheduledAt: clock.now() - 1 })]);
    expect(receive(queue).texts).toEqual(["late"]);
  });

  it("cancels scheduled messages, all or none", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const numbers = queue.schedule([1, 2].map((n) => message(`m${n}`, { scheduledAt: clock.now() + 1000 * n })));
    expect(refusal(() => queue.cancelScheduled([...numbers, 99n])).condition).toBe("com.microsoft:message-not-found");
    queue.cancelScheduled(numbers.slice(0, 1));
    clock.advance(5000);
    expect(receive(queue).texts).toEqual(["m2"]);
    expect(refusal(() => queue.cancelScheduled(numbers)).condition).toBe("com.microsoft:message-not-found");
  });

  it("refuses to schedule a message without a time", () => {
    const { namespace } = namespaceOfTest();
    expect(refusal(() => namespace.createQueue("q").schedule([message("m1")])).condition).toBe("amqp:invalid-field");
  });

  it("drops an expired message, or dead-letters it where that is wanted", () => {
    const { namespace, clock } = namespaceOfTest();
    const dropping = namespace.createQueue("dropping");
    const keeping = namespace.createQueue("keeping", { deadLetteringOnMessageExpiration: true });
    for (const queue of [dropping, keeping]) queue.send([message("short", { timeToLive: 1000 }), message("long")]);
    clock.advance(1000);
    for (const queue of [dropping, keeping]) expect(receive(queue, 10, "receive-and-delete").texts).toEqual(["long"]);
    expect(dropping.deadLetters.peek(0n, 10)).toEqual([]);
    const [dead] = keeping.deadLetters.peek(0n, 10);
    expect(dead && propertiesOf(dead)).toEqual({
      DeadLetterReason: "TTLExpiredException",
      DeadLetterErrorDescription: "The message expired and was dead lettered.",
    });
    clock.advance(1_000_000);
    expect(keeping.deadLetters.peek(0n, 10)).toHaveLength(1);
  });

  it("caps a message's time to live by its own", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { defaultMessageTimeToLive: 5000 });
    queue.send([message("none"), message("longer", { timeToLive: 60_000 }), message("shorter", { timeToLive: 1000 })]);
    expect(queue.peek(0n, 10).map((peeked) => peeked.timeToLive)).toEqual([5000, 5000, 1000]);
    clock.advance(1000);
    expect(queue.peek(0n, 10).map(textOfMessage)).toEqual(["none", "longer"]);
    clock.advance(4000);
    expect(queue.peek(0n, 10)).toEqual([]);
  });

  it("lets a locked message be completed after it expired, but does not deliver it again", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { deadLetteringOnMessageExpiration: true });
    queue.send([message("m1", { timeToLive: 1000 }), message("m2", { timeToLive: 1000 })]);
    const receiver = receive(queue);
    clock.advance(2000);
    queue.settle(receiver.deliveries[0]?.lockToken as Buffer, { kind: "complete" });
    queue.settle(receiver.deliveries[1]?.lockToken as Buffer, { kind: "abandon" });
    expect(receiver.deliveries).toHaveLength(2);
    expect(queue.deadLetters.peek(0n, 10).map(textOfMessage)).toEqual(["m2"]);
  });

  it("drops a message whose id it took within the window, scheduled or not", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { requiresDuplicateDetection: true, duplicateDetectionHistoryTimeWindow: 20_000 });
    queue.send([message("a", { id: "1" }), message("b", { id: "1" }), message("c", { id: "2", scheduledAt: clock.now() + 1000 })]);
    queue.send([message("d", { id: "2" })]);
    clock.advance(19_999);
    queue.send([message("e", { id: "1" })]);
    clock.advance(1);
    queue.send([message("f", { id: "1" })]);
    expect(receive(queue).texts).toEqual(["a", "c", "f"]);
  });

  it("takes two messages with one id when it does not detect duplicates", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send([message("a", { id: "1" }), message("b", { id: "1" })]);
    expect(receive(queue).texts).toEqual(["a", "b"]);
  });

  it("refuses sends while it is full, disabled or throttled", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { maxSizeInMegabytes: 1 });
    queue.send([message("m1", { body: Buffer.alloc(1_048_576) })]);
    expect(refusal(() => queue.send([message("m2")])).condition).toBe("amqp:resource-limit-exceeded");
    queue.settle(receive(queue, 1).last.lockToken, { kind: "complete" });
    queue.send([message("m3")]);
    namespace.updateQueue(queue, { ...queue.description, status: "SendDisabled" });
    expect(refusal(() => queue.send([message("m4")])).condition).toBe("com.microsoft:entity-disabled");
    namespace.updateQueue(queue, { ...queue.description, status: "Active" });
    namespace.throttle(1000);
    expect(refusal(() => queue.send([message("m5")])).condition).toBe("com.microsoft:server-busy");
    clock.advance(1000);
    queue.send([message("m6")]);
    expect(receive(queue).texts).toEqual(["m3", "m6"]);
  });

  it("ends its receivers when it is disabled for receives or deleted", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const receiver = receive(queue);
    namespace.updateQueue(queue, { ...queue.description, status: "ReceiveDisabled" });
    expect(receiver.ended?.condition).toBe("com.microsoft:entity-disabled");
    expect(refusal(() => receive(queue)).condition).toBe("com.microsoft:entity-disabled");
    namespace.updateQueue(queue, { ...queue.description, status: "Active" });
    const second = receive(queue);
    expect(namespace.delete("Q")).toBe(true);
    expect(second.ended?.condition).toBe("amqp:not-found");
    expect(namespace.find("q")).toBeUndefined();
  });

  it("settles nothing while it is disabled for receives", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { lockDuration: 5000 });
    queue.send([message("m")]);
    const { lockToken } = receive(queue).last;
    namespace.updateQueue(queue, { ...queue.description, status: "ReceiveDisabled" });
    expect(refusal(() => queue.settle(lockToken, { kind: "complete" })).condition).toBe("com.microsoft:entity-disabled");
    namespace.updateQueue(queue, { ...queue.description, status: "Active" });
    clock.advance(5000);
    expect(receive(queue).deliveryCounts).toEqual([1]);
  });

  it("takes nothing more when it is deleted, and tells its senders", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const told: string[] = [];
    queue.openSender((error) => told.push(error.condition));
    queue.openSender((error) => told.push(`gone, ${error.condition}`))();
    namespace.delete("q");
    expect(told).toEqual(["amqp:not-found"]);
    // Java's client sends again on "amqp:not-found", unless the text says that it is of the entity.
    expect(refusal(() => queue.send([message("m1")]))).toMatchObject({
      condition: "amqp:not-found",
      message: expect.stringMatching(/The messaging entity 'q' could not be found\./),
    });
    expect(refusal(() => queue.schedule([message("m2", { scheduledAt: 1 })])).condition).toBe("amqp:not-found");
  });

  it("is deleted when nobody used it for as long as AutoDeleteOnIdle says", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q", { autoDeleteOnIdle: 300_000 });
    clock.advance(299_000);
    queue.send([message("m1")]);
    clock.advance(299_000);
    const receiver = receive(queue);
    clock.advance(900_000);
    expect(namespace.find("q")).toBe(queue);
    receiver.link.close();
    clock.advance(600_000);
    expect(namespace.find("q")).toBeUndefined();
  });

  it("refuses a session receiver", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    const open = (): unknown =>
      queue.openSession({ mode: "peek-lock", onDelivery: () => {}, onEnd: () => {}, sessionId: "s", timeoutMilliseconds: 1 });
    expect(refusal(open).condition).toBe("amqp:not-allowed");
  });

  it("lets every lock end when a test asks for it", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send([message("m1")]);
    const receiver = receive(queue);
    namespace.expireLocks();
    expect(receiver.texts).toEqual(["m1", "m1"]);
    expect(receiver.last.message.deliveryCount).toBe(1);
  });

  it("deletes the oldest messages that were enqueued before a time", () => {
    const { namespace, clock } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    queue.send(texts(3).map((text) => message(text)));
    clock.advance(1000);
    queue.send([message("new")]);
    expect(queue.deleteMessages(2, clock.now())).toBe(2);
    expect(queue.deleteMessages(10, clock.now())).toBe(1);
    expect(receive(queue).texts).toEqual(["new"]);
  });

  it("keeps its order when ten thousand messages are partly abandoned, deferred and completed", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q", { maxDeliveryCount: 100 });
    queue.send(texts(10_000).map((text) => message(text)));
    const receiver = receive(queue, 10_000);
    for (const [i, delivery] of receiver.deliveries.entries())
      queue.settle(delivery.lockToken, { kind: i % 3 === 0 ? "abandon" : "complete" });
    const again = receive(queue, 10_000);
    const expected = texts(10_000).filter((_, i) => i % 3 === 0);
    expect(again.texts).toEqual(expected);
    expect(queue.peek(0n, 5).map(textOfMessage)).toEqual(expected.slice(0, 5));
  });
});
