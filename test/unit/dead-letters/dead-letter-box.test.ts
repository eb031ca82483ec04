import { getEventListeners } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import type { Bus, BusOptions, DeadLetter } from "../../../src/index.js";
import type { DeliveryParts, ScriptedDelivery } from "../../support/scripted-delivery.js";
import { bodyOf } from "../../support/scripted-delivery.js";
import { refused, SENT, transportError } from "../../support/scripted-transport.js";
import { type TestBus, testBus } from "../../support/test-bus.js";
import { settled, until } from "../../support/until.js";

const buses: Bus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.stop({ deadline: 100 })));
});

type Decide = Parameters<ReturnType<Bus["deadLetters"]>["process"]>[0];

interface Look {
  readonly made: TestBus;
  readonly letters: readonly ScriptedDelivery[];
  readonly result: Promise<unknown>;
}

/** Looks at these letters of the endpoint "audit"; a failure becomes the result. */
async function look(
  decide: Decide,
  letters: readonly DeliveryParts[],
  options: { limit?: number; bus?: Partial<BusOptions>; exhausted?: boolean } = {},
): Promise<Look> {
  const made = testBus(options.bus);
  buses.push(made.bus);
  const { limit } = options;
  const result = made.bus
    .deadLetters("audit")
    .process(decide, limit === undefined ? {} : { limit })
    .catch((error: unknown) => error);
  await until("the dead letters are received", () => made.transport.sinks.has("audit dead letters"));
  const deliveries = letters.map((parts) => made.transport.deliver("audit dead letters", parts));
  if (options.exhausted !== false) made.transport.sinks.get("audit dead letters")?.exhausted();
  return { made, letters: deliveries, result };
}

const letter = (messageId: string, headers: Record<string, string> = {}): DeliveryParts => ({
  body: bodyOf("shop.placed", { n: 1 }, { messageId }),
  properties: { messageId, messageType: "shop.placed", contentType: "application/cloudevents+json", correlationId: "c", partitionKey: "k" },
  headers: { "tb-reason": "failed", "tb-attempts": "16", tenant: "t", ...headers },
});
const verbs = (letters: readonly ScriptedDelivery[]): unknown[] => letters.map(({ answer }) => answer?.verb);

test("each letter is decided once, one after the other, in its order, and the tally is told", async () => {
  const seen: string[] = [];
  let atOneTime = 0;
  const { letters, result, made } = await look(
    async ({ messageId }) => {
      expect(++atOneTime).toBe(1);
      seen.push(messageId);
      await settled(1);
      atOneTime--;
      return messageId === "a" ? "replay" : messageId === "b" ? "drop" : "keep";
    },
    [letter("a"), letter("b"), letter("c")],
  );
  expect(await result).toEqual({ replayed: 1, dropped: 1, kept: 1 });
  expect(seen).toEqual(["a", "b", "c"]);
  expect(verbs(letters)).toEqual(["complete", "complete", "release"]);
  expect(made.transport.sources[0]).toMatchObject({ from: "dead-letter", endpoint: { name: "audit" } });
  expect(made.transport.log.slice(-2)).toEqual(["stop audit", "close audit"]);
});

test("a letter tells what it is, and why it is here", async () => {
  const seen: DeadLetter[] = [];
  const parts = letter("a", { "tb-error-name": "TypeError", "tb-first-failed-at": "2026-01-01T00:00:00.000Z", "tb-endpoint": "audit" });
  const { result } = await look(
    (one) => {
      seen.push(one);
      return "keep";
    },
    [parts],
  );
  await result;
  expect(seen[0]).toMatchObject({ messageId: "a", messageType: "shop.placed", body: parts.body, headers: { tenant: "t" } });
  expect(seen[0]?.failure).toMatchObject({
    reason: "failed",
    endpoint: "audit",
    attempts: 16,
    errorName: "TypeError",
    firstFailedAt: new Date("2026-01-01"),
  });
});

describe("a replay", () => {
  test("goes to this endpoint alone, with body, id and headers as they were, and without its history; confirmed before the letter goes", async () => {
    const parts = letter("a");
    const order: string[] = [];
    const made = testBus();
    buses.push(made.bus);
    const held = made.transport.holdSends();
    made.transport.onAnswer = ({ answer }) => order.push(answer?.verb ?? "");
    const result = made.bus.deadLetters("audit").process(() => "replay");
    await until("it receives", () => made.transport.sinks.has("audit dead letters"));
    const delivery = made.transport.deliver("audit dead letters", parts);
    made.transport.sinks.get("audit dead letters")?.exhausted();
    await until("it is sent", () => held.length === 1);
    await settled();
    expect(order).toEqual([]);
    expect(held[0]?.messages).toEqual([
      { to: { endpoint: "audit" }, body: parts.body, properties: parts.properties, headers: { tenant: "t" }, replayOf: delivery },
    ]);
    held[0]?.answer(SENT);
    expect(await result).toEqual({ replayed: 1, dropped: 0, kept: 0 });
    expect(order).toEqual(["complete"]);
  });

  test("that the broker does not take keeps the letter and the rest, and the call tells why", async () => {
    const made = testBus({ publishTimeout: 20 });
    buses.push(made.bus);
    made.transport.onSend = (messages) => messages.map(() => refused("unroutable", false));
    const result = made.bus.deadLetters("audit").process(() => "replay");
    await until("it receives", () => made.transport.sinks.has("audit dead letters"));
    const letters = ["a", "b"].map((id) => made.transport.deliver("audit dead letters", letter(id)));
    await expect(result).rejects.toMatchObject({ code: "unroutable", outcome: "refused", messageId: "a" });
    expect(verbs(letters)).toEqual(["release", "release"]);
  });

  test("of a letter without any properties is possible too", async () => {
    const { result, made } = await look(() => "replay", [{ body: new Uint8Array([1]), headers: {} }]);
    expect(await result).toMatchObject({ replayed: 1 });
    expect(made.transport.sent[0]?.properties).toEqual({
      messageId: "",
      messageType: "",
      contentType: "",
      correlationId: "",
      partitionKey: undefined,
    });
  });
});

describe("when decide", () => {
  test.each([
    ["throws", () => Promise.reject(new Error("no idea")), "no idea"],
    [
      "throws at once",
      () => {
        throw new Error("no idea");
      },
      "no idea",
    ],
    ["answers something else", () => "delete" as never, 'decide answered "delete"; it answers "replay", "drop" or "keep"'],
    ["answers nothing", () => undefined as never, "decide answered undefined"],
  ] as const)("%s, that letter and the rest are kept and the call rejects", async (_, decide, told) => {
    const { letters, result, made } = await look(decide as Decide, [letter("a"), letter("b")]);
    expect(String(await result)).toContain(told);
    expect(verbs(letters)).toEqual(["release", "release"]);
    expect(made.transport.log.slice(-2)).toEqual(["stop audit", "close audit"]);
  });

  test("throws, its own error is told, whatever else goes wrong", async () => {
    const { result, made } = await look(
      () => Promise.reject(new Error("no idea")),
      [
        { ...letter("a"), refusals: 9 },
        { ...letter("b"), refusals: 9 },
      ],
    );
    expect(String(await result)).toContain("no idea");
    expect(made.transport.log.at(-1)).toBe("close audit");
  });
});

test("no more letters are met than the limit says; the others are given back", async () => {
  const { letters, result } = await look(() => "drop", [letter("a"), letter("b"), letter("c")], { limit: 2, exhausted: false });
  expect(await result).toEqual({ replayed: 0, dropped: 2, kept: 0 });
  expect(verbs(letters)).toEqual(["complete", "complete", "release"]);
});

test("a letter that was lost before it could be taken away is still there, and is counted so", async () => {
  const { letters, result } = await look((): "drop" => {
    letters[0]?.lose();
    return "drop";
  }, [letter("a")]);
  expect(await result).toEqual({ replayed: 0, dropped: 0, kept: 1 });
});

test("a letter that is lost while it is decided about is not replayed: it would be there twice", async () => {
  const { letters, result, made } = await look((): "replay" => {
    letters[0]?.lose();
    return "replay";
  }, [letter("a")]);
  expect(await result).toEqual({ replayed: 0, dropped: 0, kept: 1 });
  expect(made.transport.sent).toEqual([]);
});

test("waits for the first letter, and for the word that there is none", async () => {
  const { result, made } = await look(() => "drop", [], { exhausted: false });
  let over = false;
  void result.then(() => {
    over = true;
  });
  await settled();
  expect(over).toBe(false);
  made.transport.sinks.get("audit dead letters")?.exhausted();
  expect(await result).toEqual({ replayed: 0, dropped: 0, kept: 0 });
});

test("leaves nothing hanging on the bus", async () => {
  const { Visits } = await import("../../../src/dead-letters/visits.js");
  const { DeadLetterBox } = await import("../../../src/dead-letters/dead-letter-box.js");
  const visits = new Visits();
  const { transport } = testBus();
  const box = new DeadLetterBox("audit", async () => transport, {} as never, visits);
  for (let i = 0; i < 3; i++) {
    const result = box.process(() => "keep");
    await until("it receives", () => transport.sinks.has("audit dead letters"));
    transport.sinks.get("audit dead letters")?.exhausted();
    await result;
    transport.sinks.clear();
  }
  transport.onReceive = () => Promise.reject(transportError("topology", false));
  await expect(box.process(() => "keep")).rejects.toMatchObject({ code: "topology" });
  expect(getEventListeners(visits.ending, "abort")).toEqual([]);
  await visits.end();
});

test.each([
  ["no function", "drop", {}],
  ["a limit of nothing", () => "drop", { limit: 0 }],
  ["half a limit", () => "drop", { limit: 0.5 }],
  ["an unknown option", () => "drop", { limt: 5 }],
  ["a number for the options, which would have been no limit,", () => "drop", 5],
])("%s is told before anything is connected", async (_, decide, options) => {
  const made = testBus();
  buses.push(made.bus);
  await expect(made.bus.deadLetters().process(decide as never, options as object)).rejects.toMatchObject({ code: "configuration" });
  expect(made.transport.log).toEqual([]);
});
