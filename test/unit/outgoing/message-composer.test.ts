import { describe, expect, test } from "vitest";
import { InvalidMessageError, type OutgoingStep, PublishError, type PublishOptions } from "../../../src/index.js";
import { MessageComposer } from "../../../src/outgoing/message-composer.js";
import type { Origin } from "../../../src/outgoing/origin.js";
import { cloudEvents } from "../../../src/wire/cloud-events.js";
import { Placed, Shipped } from "../../support/test-bus.js";
import { settled } from "../../support/until.js";

function composer(settings: { propagateHeaders?: readonly string[]; max?: number } = {}): MessageComposer {
  const { propagateHeaders = [], max = 100_000 } = settings;
  return new MessageComposer({ service: "shop", propagateHeaders, maxMessageBytes: () => max }, cloudEvents);
}

function origin(changes: Partial<Origin> = {}): Origin {
  const counts = new Map<string, number>();
  return {
    publisher: undefined as never,
    endpoint: "shipping",
    messageId: "handled",
    correlationId: "correlation",
    conversationId: "conversation",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "a=b",
    headers: {},
    phase: "running",
    held: [],
    budget: undefined,
    countEqual: (fingerprint) => {
      const before = counts.get(fingerprint) ?? 0;
      counts.set(fingerprint, before + 1);
      return before;
    },
    ...changes,
  };
}

const compose = (message: object, options?: PublishOptions, from?: Origin, to?: string, settings = {}) =>
  composer(settings).compose(to, message, options, from);
const eventOf = (outgoing: { readonly body: Uint8Array }): Record<string, unknown> => JSON.parse(Buffer.from(outgoing.body).toString());
const idsOf = (from: Origin, ...messages: object[]): string[] =>
  messages.map((message) => compose(message, undefined, from).properties.messageId);

describe("a message of its own", () => {
  test("begins a conversation: its id is a new ULID, and correlation and conversation are that", () => {
    const first = compose(new Placed(1));
    const { messageId } = first.properties;
    expect(messageId).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    expect(first.properties).toMatchObject({ messageType: "shop.placed", correlationId: messageId, partitionKey: undefined });
    expect(eventOf(first)).toMatchObject({ id: messageId, source: "shop", type: "shop.placed", conversationid: messageId, data: { n: 1 } });
    expect(eventOf(first)).not.toHaveProperty("causationid");
    expect(compose(new Placed(1)).properties.messageId).not.toBe(messageId);
  });

  test("has what the options say", () => {
    const options = { messageId: "my-id", correlationId: "my-correlation", partitionKey: "my-key", headers: { tenant: "t" } };
    const outgoing = compose(new Placed(1), options);
    expect(outgoing.properties).toMatchObject({ messageId: "my-id", correlationId: "my-correlation", partitionKey: "my-key" });
    expect(outgoing.headers).toEqual({ tenant: "t" });
    expect(eventOf(outgoing)).toMatchObject({ id: "my-id", correlationid: "my-correlation", partitionkey: "my-key" });
  });

  test("is an event, or a command to its endpoint", () => {
    expect(compose(new Placed(1)).to).toEqual({ event: "shop.placed" });
    expect(compose(new Placed(1), undefined, undefined, "audit").to).toEqual({ endpoint: "audit" });
  });
});

describe("a message that a consumer publishes", () => {
  test("takes over correlation, conversation, trace and cause from the message being handled", () => {
    expect(eventOf(compose(new Placed(1), undefined, origin()))).toMatchObject({
      correlationid: "correlation",
      conversationid: "conversation",
      causationid: "handled",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "a=b",
    });
    expect(compose(new Placed(1), { correlationId: "other" }, origin()).properties.correlationId).toBe("other");
  });

  test("gets an id that is the same when the consumer runs again and does the same", () => {
    const run = (): string[] => idsOf(origin(), new Placed(1), new Placed(1), new Shipped(1), new Placed(2));
    const ids = run();
    expect(run()).toEqual(ids);
    expect(new Set(ids).size).toBe(4);
    expect(ids[0]).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  });

  test("gets the same id in whatever order different ones are published", () => {
    expect(idsOf(origin(), new Placed(2), new Placed(1)).reverse()).toEqual(idsOf(origin(), new Placed(1), new Placed(2)));
  });

  test("gets another id for another endpoint, handled message, destination, type or content", () => {
    const ids = [
      compose(new Placed(1), undefined, origin()),
      compose(new Placed(2), undefined, origin()),
      compose(new Shipped(1), undefined, origin()),
      compose(new Placed(1), undefined, origin({ endpoint: "mail" })),
      compose(new Placed(1), undefined, origin({ messageId: "other" })),
      compose(new Placed(1), undefined, origin(), "audit"),
      compose(new Placed(1), undefined, origin(), "event"),
    ].map(({ properties }) => properties.messageId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("with an id of its own counts not among equals", () => {
    const from = origin();
    const [first] = idsOf(origin(), new Placed(1));
    compose(new Placed(1), { messageId: "mine" }, from);
    expect(idsOf(from, new Placed(1))).toEqual([first]);
  });

  test("takes along the headers that are propagated, and no others; its own go before", () => {
    const from = origin({ headers: { tenant: "t", user: "u", other: "o" } });
    const settings = { propagateHeaders: ["tenant", "user", "absent"] };
    expect(compose(new Placed(1), undefined, from, undefined, settings).headers).toEqual({ tenant: "t", user: "u" });
    expect(compose(new Placed(1), { headers: { user: "x" } }, from, undefined, settings).headers).toEqual({ tenant: "t", user: "x" });
    expect(compose(new Placed(1), undefined, origin({ headers: { tenant: "\ud800" } }), undefined, settings).headers).toEqual({});
  });
});

describe("the payload is taken when publish is called", () => {
  test("so that a change of the message or the options afterwards changes nothing, also behind slow steps", async () => {
    const made = composer();
    made.use(async (_, next) => {
      await settled(1);
      await next();
    });
    const message = new Placed(1);
    const headers = { tenant: "t" };
    let sent: ReturnType<MessageComposer["compose"]> | undefined;
    const sending = made.composeThroughSteps(undefined, message, { headers }, undefined, async (outgoing) => {
      sent = outgoing;
    });
    (message as { n: number }).n = 99;
    headers.tenant = "x";
    await sending;
    expect(sent && eventOf(sent)["data"]).toEqual({ n: 1 });
    expect(sent?.headers).toEqual({ tenant: "t" });
  });
});

describe("outgoing steps", () => {
  const through = async (steps: readonly OutgoingStep[], options: PublishOptions = {}) => {
    const made = composer();
    for (const step of steps) made.use(step);
    const sent: ReturnType<MessageComposer["compose"]>[] = [];
    await made.composeThroughSteps("audit", new Placed(1), options, undefined, async (outgoing) => void sent.push(outgoing));
    return sent;
  };

  test("see the message, and may add headers", async () => {
    const seen: unknown[] = [];
    const [sent] = await through(
      [
        async ({ message, messageType, destination, headers }, next) => {
          seen.push(message, messageType, destination);
          headers["user"] = "u";
          await next();
        },
      ],
      { headers: { tenant: "t" } },
    );
    expect(seen).toEqual([new Placed(1), "shop.placed", "audit"]);
    expect(sent?.headers).toEqual({ tenant: "t", user: "u" });
  });

  test("that add wrong headers, or throw, fail the publish", async () => {
    await expect(
      through([
        async ({ headers }, next) => {
          headers["Upper"] = "x";
          await next();
        },
      ]),
    ).rejects.toMatchObject({ code: "configuration" });
    await expect(through([() => Promise.reject(new Error("no"))])).rejects.toThrow("no");
  });

  test("that do not call next send nothing", async () => {
    expect(await through([async () => {}])).toEqual([]);
  });
});

describe("what is wrong is told, and nothing is sent:", () => {
  const lone = "\ud83d";
  const options: [options: object, told: string][] = [
    [{ mesageId: "x" }, 'publish and send have no option "mesageId"; they know messageId'],
    [{ messageId: "" }, 'messageId is ""; it is text of 1 to 128 characters'],
    [{ messageId: "x".repeat(129) }, "messageId"],
    [{ messageId: 5 }, "messageId is 5"],
    [{ messageId: null }, "messageId is null"],
    [{ messageId: lone }, "surrogate"],
    [{ correlationId: "" }, "correlationId"],
    [{ partitionKey: {} }, "partitionKey"],
    [{ headers: "tenant" }, 'headers is "tenant"; it is an object'],
    [{ headers: ["tenant"] }, "headers is a list"],
    [{ headers: null }, "headers is null"],
    [{ headers: { Tenant: "t" } }, "lower-case"],
    [{ headers: { "tb-attempts": "1" } }, "reserved"],
    [{ headers: { "": "x" } }, "empty"],
    [{ headers: { tenant: 5 } }, 'the header "tenant" is 5; it is text'],
    [{ headers: { tenant: undefined } }, 'the header "tenant" is undefined'],
    [{ headers: { tenant: lone } }, "surrogate"],
    [{ headers: { tenant: "x".repeat(17_000) } }, "at most 16384"],
    [{ headers: new Map([["tenant", "a"]]) }, "headers is of type object; it is an object of texts"],
    [{ headers: new Headers({ tenant: "a" }) }, "headers is of type object"],
    [{ immediately: "yes" }, "immediately"],
    [{ signal: {} }, "signal is of type object; it is an AbortSignal"],
    [{ signal: null }, "signal is null"],
  ];
  test.each(options)("%j", (given, told) => {
    expect(() => compose(new Placed(1), given as PublishOptions)).toThrow(told);
  });
  test.each([[null], ["x"], [5], [[]], [new Map([["messageId", "a"]])]])("%j for options", (given) => {
    expect(() => compose(new Placed(1), given as never)).toThrow("as options; they take an object");
  });

  test("a message that cannot be encoded", () => {
    expect(() => compose({ n: 1 })).toThrow(InvalidMessageError);
    expect(() => compose(Object.assign(new Placed(1), { big: 1n }))).toThrow(/"big" is a BigInt/);
  });

  test("a message that is too large with its headers; one that just fits is taken", () => {
    const { byteLength } = compose(new Placed(1), { messageId: "x".repeat(26) }).body;
    const sized = (max: number) =>
      compose(new Placed(1), { messageId: "x".repeat(26), headers: { tenant: "ü" } }, undefined, undefined, { max });
    expect(sized(byteLength + 8).body).toHaveLength(byteLength);
    let error: unknown;
    try {
      sized(byteLength + 7);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({ code: "too-large", outcome: "refused", retryable: false, messageId: "x".repeat(26) });
  });
});
