import { describe, expect, test } from "vitest";
import type { Delivery } from "../../src/contracts/transport.js";
import { Bench, eventually, FAILURE, message, textOf } from "./support/bench.js";

const bench = await Bench.start();
const { namespace } = bench.broker;

describe("a dead letter", () => {
  test("is in the queue's own dead-letter queue, with reason and description for the portal, and all of the failure", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const inbox = await port.receive(endpoint);
    await port.send(message({ endpoint: endpoint.name }, "given up", { messageId: "id-1", partitionKey: "k" }, { tenant: "t1" }));
    const [delivery] = await inbox.reach(1);
    expect(await delivery?.deadLetter({ ...FAILURE, "tb-error-message": "m".repeat(4_000), "tb-error-stack": "s".repeat(4_000) })).toBe(
      "settled",
    );

    const [native] = await bench.client().createReceiver(endpoint.name, { subQueueType: "deadLetter" }).peekMessages(1);
    expect(native).toMatchObject({ deadLetterReason: "failed", messageId: "id-1", subject: "tests.text", contentType: "text/plain" });
    expect(native?.deadLetterErrorDescription).toMatch(/^Error: m+$/);
    const [letter] = await port.letters(endpoint);
    expect(letter && textOf(letter)).toBe("given up");
    expect(letter?.properties).toMatchObject({ messageId: "id-1", partitionKey: "k", messageType: "tests.text" });
    expect(letter?.headers).toEqual({
      tenant: "t1",
      ...FAILURE,
      "tb-error-message": "m".repeat(4_000),
      "tb-error-stack": "s".repeat(4_000),
    });
  });

  test("that the broker made itself tells the broker's reason", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    namespace.delete(endpoint.name);
    namespace.createQueue(endpoint.name, { maxDeliveryCount: 10 });
    await port.send(message({ endpoint: endpoint.name }, "too often"));
    const other = bench.client().createReceiver(endpoint.name, { maxAutoLockRenewalDurationInMs: 0 });
    for (let i = 0; i < 10; i++) {
      const [taken] = await other.receiveMessages(1);
      if (taken) await other.abandonMessage(taken);
    }
    const letters = await port.letters(endpoint);
    expect(letters.map((letter) => [textOf(letter), letter.headers["tb-error-name"]])).toEqual([["too often", "MaxDeliveryCountExceeded"]]);
  });

  test("is found in the subscription whose filter failed, and in the transfer dead letters where nothing could be forwarded", async () => {
    const port = await bench.port();
    const [broken, lost] = [bench.name("tests.broken"), bench.name("tests.lost")];
    const endpoint = bench.endpoint({ subscribed: [broken, lost] });
    for (const topic of [broken, lost]) namespace.createTopic(topic);
    namespace.createSubscription(broken, endpoint.name, { forwardTo: endpoint.name, deadLetteringOnFilterEvaluationExceptions: true }, [
      { name: "broken", filter: { kind: "sql", expression: "tenant > 1" }, action: undefined },
    ]);
    namespace.createQueue(`${endpoint.name}.gone`);
    namespace.createSubscription(lost, endpoint.name, { forwardTo: `${endpoint.name}.gone` });
    namespace.delete(`${endpoint.name}.gone`);
    await port.send(message({ event: broken }, "filter", {}, { tenant: "5" }));
    await port.send(message({ event: lost }, "nowhere"));
    const inbox = await port.receive(endpoint);
    let letters: readonly string[] = [];
    await eventually(
      () => `both letters, have ${letters}`,
      async () => {
        letters = (await port.letters(endpoint)).map((letter) => `${textOf(letter)} in ${letter.source}`);
        return letters.length === 2;
      },
    );
    expect([...letters].sort()).toEqual(
      [
        `filter in ${broken}/Subscriptions/${endpoint.name}/$DeadLetterQueue`,
        `nowhere in ${lost}/Subscriptions/${endpoint.name}/$Transfer/$DeadLetterQueue`,
      ].sort(),
    );
    expect(inbox.deliveries).toHaveLength(0);
  });
});

describe("a visit", () => {
  test("meets each letter once, and what was kept is there for the next one at once", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const inbox = await port.receive(endpoint, 100);
    inbox.onDelivery = (delivery) => void delivery.deadLetter(FAILURE);
    const texts = Array.from({ length: 100 }, (_, n) => `n${n}`);
    await port.send(...texts.map((text) => message({ endpoint: endpoint.name }, text)));
    await eventually("100 letters", async () => (await port.letters(endpoint)).length === 100);
    for (let visit = 0; visit < 2; visit++) expect((await port.letters(endpoint)).map(textOf).sort()).toEqual([...texts].sort());
  });

  test("does not meet what was dead-lettered after it began", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint();
    const inbox = await port.receive(endpoint);
    inbox.onDelivery = (delivery) => void delivery.deadLetter(FAILURE);
    await port.send(message({ endpoint: endpoint.name }, "first"), message({ endpoint: endpoint.name }, "second"));
    await eventually("two letters", async () => (await port.letters(endpoint)).length === 2);

    const visit = await port.receive(endpoint, 1, "dead-letter");
    await visit.reach(1);
    await port.send(message({ endpoint: endpoint.name }, "late"));
    await inbox.reach(3);
    visit.onDelivery = (letter) => void letter.complete();
    visit.deliveries[0]?.complete();
    await eventually("the end", () => visit.isExhausted);
    await visit.close();
    expect(visit.texts.sort()).toEqual(["first", "second"]);
    expect((await port.letters(endpoint)).map(textOf)).toEqual(["late"]);
  });

  test("keeps the locks of what it has not decided about", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({}, 3_000);
    const inbox = await port.receive(endpoint);
    inbox.onDelivery = (delivery) => void delivery.deadLetter(FAILURE);
    await port.send(message({ endpoint: endpoint.name }, "slow"));
    await eventually("the letter", async () => (await port.letters(endpoint)).length === 1);
    const visit = await port.receive(endpoint, 1, "dead-letter");
    const [letter] = await visit.reach(1);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect([letter?.isLost, letter?.complete()]).toEqual([false, "settled"]);
    await visit.close();
    expect(await port.letters(endpoint)).toEqual([]);
  });

  test("that kept letters holds on to none of them when it is over", async () => {
    const port = await bench.port();
    const endpoint = bench.endpoint({}, 3_000);
    const inbox = await port.receive(endpoint);
    inbox.onDelivery = (delivery) => void delivery.deadLetter(FAILURE);
    await port.send(message({ endpoint: endpoint.name }, "kept"));
    await eventually("the letter", async () => (await port.letters(endpoint)).length === 1);
    await inbox.close();
    expect(await port.letters(endpoint)).toHaveLength(1);
    // Locks would be renewed at half of their time, over links that are closed.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(port.log.filter((line) => line.includes("could not be renewed"))).toEqual([]);
  });

  test("settles and renews by the new connection what came over one that has fallen silent", { timeout: 90_000 }, async () => {
    const port = await bench.mortalPort({ operationTimeout: "2s", lockDuration: "20s" });
    const endpoint = bench.endpoint({}, 20_000);
    const inbox = await port.receive(endpoint);
    inbox.onDelivery = (delivery) => void delivery.deadLetter(FAILURE);
    await port.send(message({ endpoint: endpoint.name }, "dropped"), message({ endpoint: endpoint.name }, "kept"));
    await eventually("the letters", async () => (await port.letters(endpoint)).length === 2);
    await inbox.close();
    const visit = await port.receive(endpoint, 10, "dead-letter");
    const letters = [...(await visit.reach(2))];
    const [dropped, kept] = textOf(letters[0] as Delivery) === "dropped" ? letters : letters.reverse();

    port.proxy?.forgetConnections();
    expect(dropped?.complete()).toBe("settled");
    await new Promise((resolve) => setTimeout(resolve, 22_000));

    expect([dropped?.isLost, kept?.isLost]).toEqual([false, false]);
    expect(port.log.filter((line) => line.includes("made anew"))).toHaveLength(1);
    await kept?.release();
    await visit.close();
    const other = await bench.port();
    expect((await other.letters(endpoint)).map(textOf)).toEqual(["kept"]);
  });
});

test("a message of another client that is replayed has all that it came with, and nothing that was written on it since", async () => {
  const port = await bench.port();
  const endpoint = bench.endpoint();
  const given = {
    messageId: "id-1",
    sessionId: "their session",
    subject: "tests.text",
    contentType: "text/plain",
    correlationId: 7,
    replyTo: "answers",
    to: "orders",
    applicationProperties: { tenant: "t1", attempts: 3, isUrgent: true, at: new Date(0) },
  };
  await bench
    .client()
    .createSender(endpoint.name)
    .sendMessages({ ...given, body: Buffer.from("foreign") });
  const inbox = await port.receive(endpoint);
  const [delivery] = await inbox.reach(1);
  await delivery?.deadLetter(FAILURE);
  await inbox.close();
  const visit = await port.receive(endpoint, 1, "dead-letter");
  const [letter] = await visit.reach(1);
  if (!letter) throw new Error("no letter");
  const { tenant, attempts, isUrgent, at } = letter.headers as Record<"tenant" | "attempts" | "isUrgent" | "at", string>;
  const [result] = await port.send({
    ...message({ endpoint: endpoint.name }, "foreign", { messageId: "id-1" }, { tenant, attempts, isUrgent, at }),
    replayOf: letter,
  });
  expect(result?.outcome).toBe("sent");
  letter.complete();

  const receiver = bench.client().createReceiver(endpoint.name, { skipConvertingDate: true });
  const [replayed] = await receiver.receiveMessages(1);
  expect(replayed).toMatchObject(given);
  expect(replayed?.applicationProperties).toEqual(given.applicationProperties);
  expect(String(replayed?.body)).toBe("foreign");
});
