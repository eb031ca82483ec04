import { describe, expect, it } from "vitest";
import type { StoredMessage } from "../../src/broker/contracts.js";
import { message, namespaceOfTest, propertiesOf, receive, refusal, textOfMessage } from "../support/broker.js";

const texts = (messages: readonly StoredMessage[]): string[] => messages.map(textOfMessage);

describe("Forwarding", () => {
  it("moves messages from a queue to its target, which may be given as an address", () => {
    const { namespace } = namespaceOfTest();
    const target = namespace.createQueue("target");
    const source = namespace.createQueue("source", { forwardTo: "sb://localhost/Target" });
    source.send([message("m1"), message("m2")]);
    expect(texts(target.peek(0n, 9))).toEqual(["m1", "m2"]);
    expect(source.peek(0n, 9)).toEqual([]);
    expect(refusal(() => receive(source)).condition).toBe("amqp:not-allowed");
  });

  it("runs from a topic over a subscription into a queue, with filters and actions on the way", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("endpoint");
    const topic = namespace.createTopic("t");
    namespace.createSubscription("t", "s", { forwardTo: "endpoint" }, [
      { name: "r", filter: { kind: "sql", expression: "color = 'red'" }, action: { expression: "SET via = 't'" } },
    ]);
    topic.send([message("m0"), message("m1", { properties: { color: "red" } })]);
    const [forwarded] = queue.peek(0n, 9);
    expect(forwarded && propertiesOf(forwarded)).toEqual({ color: "red", via: "t", RuleName: "r" });
    expect(forwarded?.sequenceNumber).toBe(1n);
    expect(forwarded?.enqueuedSequenceNumber).toBe(2n);
  });

  it("forwards a scheduled message when its time has come", () => {
    const { namespace, clock } = namespaceOfTest();
    const target = namespace.createQueue("target");
    const source = namespace.createQueue("source", { forwardTo: "target" });
    source.send([message("m1", { scheduledAt: clock.now() + 1000 })]);
    expect(target.peek(0n, 9)).toEqual([]);
    expect(source.peek(0n, 9)).toHaveLength(1);
    clock.advance(1000);
    expect(texts(target.peek(0n, 9))).toEqual(["m1"]);
  });

  it("passes four hops and dead-letters at the fifth", () => {
    const { namespace } = namespaceOfTest();
    const names = ["f", "e", "d", "c", "b", "a"];
    for (const [i, name] of names.entries()) namespace.createQueue(name, { forwardTo: i === 0 ? undefined : names[i - 1] });
    namespace.findQueue("b")?.send([message("four hops")]);
    namespace.findQueue("a")?.send([message("five hops")]);
    expect(texts(namespace.findQueue("f")?.peek(0n, 9) ?? [])).toEqual(["four hops"]);
    const [dead] = namespace.findQueue("e")?.deadLetters.peek(0n, 9) ?? [];
    expect(dead && propertiesOf(dead)["DeadLetterReason"]).toBe("MaxTransferHopCountExceeded");
  });

  it("ends in the dead-letter queue when entities forward in a circle", () => {
    const { namespace } = namespaceOfTest();
    const a = namespace.createQueue("a");
    const b = namespace.createQueue("b", { forwardTo: "a" });
    namespace.updateQueue(a, { ...a.description, forwardTo: "b" });
    a.send([message("m1")]);
    expect([...a.deadLetters.peek(0n, 9), ...b.deadLetters.peek(0n, 9)]).toHaveLength(1);
  });

  it("puts a message that its target does not take into the transfer dead-letter queue", () => {
    const { namespace } = namespaceOfTest();
    const target = namespace.createQueue("target");
    const source = namespace.createQueue("source", { forwardTo: "target" });
    namespace.updateQueue(target, { ...target.description, status: "Disabled" });
    source.send([message("disabled")]);
    namespace.delete("target");
    source.send([message("deleted")]);
    const dead = source.transferDeadLetters.peek(0n, 9);
    expect(texts(dead)).toEqual(["disabled", "deleted"]);
    expect(dead.map((letter) => propertiesOf(letter)["DeadLetterReason"])).toEqual(["com.microsoft:entity-disabled", "amqp:not-found"]);
    expect(receive(source.transferDeadLetters).texts).toEqual(["disabled", "deleted"]);
  });

  it("forwards dead letters and says where they come from", () => {
    const { namespace } = namespaceOfTest();
    const errors = namespace.createQueue("errors");
    const source = namespace.createQueue("source", { forwardDeadLetteredMessagesTo: "errors" });
    source.send([message("m1")]);
    source.settle(receive(source).last.lockToken, { kind: "dead-letter", reason: "Broken", description: "It broke." });
    const [letter] = errors.peek(0n, 9);
    expect(letter?.deadLetterSource).toBe("source");
    expect(letter && propertiesOf(letter)["DeadLetterReason"]).toBe("Broken");
    expect(source.deadLetters.peek(0n, 9)).toEqual([]);
    expect(refusal(() => receive(source.deadLetters)).condition).toBe("amqp:not-allowed");
  });

  it("keeps dead letters whose target is gone", () => {
    const { namespace } = namespaceOfTest();
    namespace.createQueue("errors");
    const source = namespace.createQueue("source", { forwardDeadLetteredMessagesTo: "errors" });
    namespace.delete("errors");
    source.send([message("m1")]);
    source.settle(receive(source).last.lockToken, { kind: "dead-letter", reason: undefined, description: undefined });
    expect(texts(source.deadLetters.peek(0n, 9))).toEqual(["m1"]);
  });

  it("moves what is waiting when it is switched on, and ends the receivers", () => {
    const { namespace } = namespaceOfTest();
    const target = namespace.createQueue("target");
    const source = namespace.createQueue("source");
    source.send([message("m1"), message("m2")]);
    const receiver = receive(source, 1);
    namespace.updateQueue(source, { ...source.description, forwardTo: "target" });
    expect(receiver.ended?.condition).toBe("amqp:not-allowed");
    expect(texts(target.peek(0n, 9))).toEqual(["m2"]);
    source.settle(receiver.last.lockToken, { kind: "abandon" });
    expect(texts(target.peek(0n, 9))).toEqual(["m2", "m1"]);
  });

  it("is refused to a target that does not exist, to a queue that is just made itself, and of a subscription with sessions", () => {
    const { namespace } = namespaceOfTest();
    const creating = (description: object): string => refusal(() => namespace.createQueue("q", description)).condition;
    expect(creating({ forwardTo: "nothing" })).toBe("amqp:invalid-field");
    expect(creating({ forwardDeadLetteredMessagesTo: "nothing" })).toBe("amqp:invalid-field");
    expect(creating({ forwardTo: "q" })).toBe("amqp:invalid-field");
    namespace.createQueue("target");
    expect(namespace.find("q")).toBeUndefined();
    namespace.createTopic("t");
    const subscribing = (): unknown => namespace.createSubscription("t", "s", { forwardTo: "target", requiresSession: true });
    expect(refusal(subscribing).condition).toBe("amqp:invalid-field");
  });

  it("from a queue to itself, which the service takes as a change, ends every message as a dead letter", () => {
    const { namespace } = namespaceOfTest();
    const queue = namespace.createQueue("q");
    namespace.updateQueue(queue, { ...queue.description, forwardTo: "q" });
    queue.send([message("round and round")]);
    expect(queue.activeCount).toBe(0);
    expect(queue.deadLetters.activeCount).toBe(1);
  });

  it("takes the messages of a queue with sessions along", () => {
    const { namespace } = namespaceOfTest();
    const target = namespace.createQueue("target");
    const queue = namespace.createQueue("q", { forwardTo: "target", requiresSession: true });
    queue.send([message("a", { session: "s" })]);
    expect([queue.activeCount, target.activeCount]).toEqual([0, 1]);
  });
});
