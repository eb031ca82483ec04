import { describe, expect, it } from "vitest";
import { double, int, long } from "../../src/amqp/values.js";
import type { RuleDescription, RuleFilter, StoredMessage } from "../../src/broker/contracts.js";
import { PropertyIndex, readProperties } from "../../src/broker/message-sections.js";
import { message, namespaceOfTest, propertiesOf, receive, refusal, textOfMessage } from "../support/broker.js";

const sql = (expression: string): RuleFilter => ({ kind: "sql", expression });
const rule = (name: string, filter: RuleFilter, action?: string): RuleDescription => ({
  name,
  filter,
  action: action === undefined ? undefined : { expression: action },
});

const texts = (messages: readonly StoredMessage[]): string[] => messages.map(textOfMessage);

describe("A topic", () => {
  it("gives a copy of each message to every subscription, and each subscription its own numbers and locks", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const [one, two] = [namespace.createSubscription("t", "one"), namespace.createSubscription("T", "two")];
    topic.send([message("m1")]);
    receive(one, 1, "receive-and-delete");
    topic.send([message("m2")]);
    expect(texts(one.peek(0n, 10))).toEqual(["m2"]);
    expect(texts(two.peek(0n, 10))).toEqual(["m1", "m2"]);
    expect(namespace.find("t/subscriptions/TWO")).toBe(two);
    expect(namespace.find("T/Subscriptions/two/$DeadLetterQueue")).toBe(two.deadLetters);
  });

  it("takes messages although nobody subscribes", () => {
    const { namespace } = namespaceOfTest();
    namespace.createTopic("t").send([message("m1")]);
    expect(namespace.createSubscription("t", "late").peek(0n, 10)).toEqual([]);
  });

  it("caps the time to live by its own and by the subscription's", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t", { defaultMessageTimeToLive: 10_000 });
    const wide = namespace.createSubscription("t", "wide");
    const narrow = namespace.createSubscription("t", "narrow", { defaultMessageTimeToLive: 5000 });
    topic.send([message("m1", { timeToLive: 60_000 })]);
    expect(wide.peek(0n, 1)[0]?.timeToLive).toBe(10_000);
    expect(narrow.peek(0n, 1)[0]?.timeToLive).toBe(5000);
  });

  it("detects duplicates for all its subscriptions", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t", { requiresDuplicateDetection: true });
    const subscription = namespace.createSubscription("t", "s");
    topic.send([message("m1", { id: "1" }), message("m2", { id: "1" })]);
    expect(texts(subscription.peek(0n, 10))).toEqual(["m1"]);
  });

  it("holds scheduled messages and asks the rules when their time has come", () => {
    const { namespace, clock } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const subscription = namespace.createSubscription("t", "s", {}, [rule("r", sql("color = 'red'"))]);
    const at = clock.now() + 1000;
    const numbers = topic.schedule(
      [1, 2, 3].map((n) => message(`m${n}`, { scheduledAt: at, properties: { color: n === 3 ? "red" : "blue" } })),
    );
    expect(texts(topic.peek(0n, 10))).toEqual(["m1", "m2", "m3"]);
    topic.cancelScheduled(numbers.slice(0, 1));
    subscription.addRule(rule("blue", sql("color = 'blue'")));
    clock.advance(1000);
    expect(texts(subscription.peek(0n, 10))).toEqual(["m2", "m3"]);
    expect(topic.peek(0n, 10)).toEqual([]);
  });

  it("lets nothing be received from its subscriptions while it is disabled", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const subscription = namespace.createSubscription("t", "s");
    topic.send([message("m1"), message("m2")]);
    const receiver = receive(subscription, 1);
    namespace.updateTopic(topic, { ...topic.description, status: "Disabled" });
    expect(receiver.ended?.condition).toBe("com.microsoft:entity-disabled");
    for (const refused of [
      () => receive(subscription),
      () => subscription.settle(receiver.last.lockToken, { kind: "complete" }),
      () => subscription.addRule(rule("red", sql("color = 'red'"))),
      () => subscription.removeRule("$Default"),
    ])
      expect(refusal(refused).condition).toBe("com.microsoft:entity-disabled");
    namespace.updateTopic(topic, { ...topic.description, status: "SendDisabled" });
    subscription.settle(receiver.last.lockToken, { kind: "complete" });
    expect(receive(subscription).texts).toEqual(["m2"]);
  });

  it("takes its subscriptions with it when it is deleted, and nothing more itself", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const receiver = receive(namespace.createSubscription("t", "s"));
    const told: string[] = [];
    topic.openSender((error) => told.push(error.condition));
    namespace.delete("t");
    expect(told).toEqual(["amqp:not-found"]);
    expect(refusal(() => topic.send([message("m")])).condition).toBe("amqp:not-found");
    expect(receiver.ended?.condition).toBe("amqp:not-found");
    expect(namespace.find("t/subscriptions/s")).toBeUndefined();
    namespace.createTopic("t");
    expect(namespace.find("t/subscriptions/s")).toBeUndefined();
  });
});

describe("The rules of a subscription", () => {
  it("select everything when none was given", () => {
    const { namespace } = namespaceOfTest();
    namespace.createTopic("t");
    expect(namespace.createSubscription("t", "s").listRules(0, 10)).toMatchObject([{ name: "$Default", filter: { kind: "true" } }]);
  });

  it("select nothing when all were removed, and are found under any letter case", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const subscription = namespace.createSubscription("t", "s");
    subscription.removeRule("$DEFAULT");
    topic.send([message("m1")]);
    expect(subscription.peek(0n, 10)).toEqual([]);
    expect(refusal(() => subscription.removeRule("$Default")).condition).toBe("amqp:not-found");
    subscription.addRule(rule("A", sql("1=1")));
    expect(refusal(() => subscription.addRule(rule("a", sql("1=1")))).condition).toBe("com.microsoft:entity-already-exists");
    expect(refusal(() => subscription.addRule(rule("b", sql("color =")))).condition).toBe("amqp:invalid-field");
  });

  it("give one copy when several of them match, and one more for each that has an action", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const subscription = namespace.createSubscription("t", "s", {}, [
      rule("plain 1".replace(" ", ""), sql("1=1")),
      rule("plain2", { kind: "true" }),
      rule("none", { kind: "false" }),
      rule("halve", sql("quantity = 10"), "SET quantity = quantity / 2; REMOVE color"),
      rule("label", sql("EXISTS(color)"), "SET sys.Label = 'seen' SET New = 3.5"),
    ]);
    topic.send([message("m1", { subject: "s", properties: { quantity: int(10), color: "red" } })]);
    const [plain, halved, labelled, ...more] = subscription.peek(0n, 10) as [StoredMessage, StoredMessage, StoredMessage];
    expect(more).toEqual([]);
    expect(propertiesOf(plain)).toEqual({ quantity: int(10), color: "red" });
    expect(propertiesOf(halved)).toEqual({ quantity: int(5), RuleName: "halve" });
    expect(propertiesOf(labelled)).toEqual({ quantity: int(10), color: "red", New: double(3.5), RuleName: "label" });
    expect(readProperties(labelled.bare)[PropertyIndex.subject]).toBe("seen");
    expect([plain, halved, labelled].map(textOfMessage)).toEqual(["m1", "m1", "m1"]);
  });

  it("can be a correlation filter on every field, on the properties, and on all of them together", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const fields = {
      correlationId: "c",
      messageId: "m",
      to: "to",
      replyTo: "rt",
      label: "l",
      sessionId: "s",
      replyToSessionId: "rs",
      contentType: "ct",
    };
    const subscriptionFor = (name: string, correlation: object): ReturnType<typeof namespace.createSubscription> =>
      namespace.createSubscription("t", name, {}, [rule("r", { kind: "correlation", correlation })]);
    const single = Object.entries(fields).map(([key, value]) => subscriptionFor(key, { [key]: value }));
    const all = subscriptionFor("all", { ...fields, properties: new Map([["n", long(5n)]]) });
    const wrongCase = subscriptionFor("case", { label: "L" });
    topic.send([
      message("m1", {
        id: "m",
        correlationId: "c",
        to: "to",
        replyTo: "rt",
        subject: "l",
        session: "s",
        replyToSessionId: "rs",
        contentType: "ct",
        properties: { n: int(5) },
      }),
    ]);
    topic.send([message("m2", { subject: "l", properties: { n: int(6) } })]);
    expect(single.map((subscription) => subscription.peek(0n, 9).length)).toEqual([1, 1, 1, 1, 2, 1, 1, 1]);
    expect(texts(all.peek(0n, 9))).toEqual(["m1"]);
    expect(wrongCase.peek(0n, 9)).toEqual([]);
  });

  it("dead-letter a message that a filter cannot be evaluated for, where that is wanted", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const broken = [rule("r", sql("quantity / divisor > 1"))];
    const keeping = namespace.createSubscription("t", "keeping", { deadLetteringOnFilterEvaluationExceptions: true }, broken);
    const dropping = namespace.createSubscription("t", "dropping", { deadLetteringOnFilterEvaluationExceptions: false }, broken);
    topic.send([message("m1", { properties: { quantity: int(1), divisor: int(0) } })]);
    expect(propertiesOf(keeping.deadLetters.peek(0n, 1)[0] as StoredMessage)).toMatchObject({
      DeadLetterReason: "FilterException",
      DeadLetterErrorDescription: "Attempted to divide by zero.",
    });
    for (const subscription of [keeping, dropping]) expect(subscription.peek(0n, 9)).toEqual([]);
    expect(dropping.deadLetters.peek(0n, 9)).toEqual([]);
  });

  it("dead-letter a message without a session id where the subscription requires sessions", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const subscription = namespace.createSubscription("t", "s", { requiresSession: true });
    topic.send([message("m1")]);
    expect(propertiesOf(subscription.deadLetters.peek(0n, 1)[0] as StoredMessage)["DeadLetterReason"]).toBe("Session ID is null.");
  });

  it("dead-letter a message whose header is larger than 64 KB", () => {
    const { namespace } = namespaceOfTest();
    const topic = namespace.createTopic("t");
    const subscription = namespace.createSubscription("t", "s");
    topic.send([message("m1", { properties: { huge: "x".repeat(66_000) } })]);
    expect(propertiesOf(subscription.deadLetters.peek(0n, 1)[0] as StoredMessage)["DeadLetterReason"]).toBe("HeaderSizeExceeded");
  });
});
