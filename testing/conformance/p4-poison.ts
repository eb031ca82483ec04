import assert from "node:assert/strict";
import type { DeadLetter } from "../../src/index.js";
import { type CloudEvent, cloudEvent, utf8 } from "./cloud-event.js";
import { ascending, type Note } from "./note.js";
import type { ForeignMessage } from "./raw-broker.js";
import type { Stage } from "./stage.js";
import type { Suite } from "./suite.js";

type Reason = DeadLetter["failure"]["reason"];

/** Written out: neither JSON.stringify nor an object literal makes such text. */
const eventText = (type: string, data: string): string => {
  const { data: _, ...attributes } = cloudEvent(type, null) satisfies CloudEvent;
  return `${JSON.stringify(attributes).slice(0, -1)},"data":${data}}`;
};

const unreadable: readonly (readonly [what: string, make: (type: string) => ForeignMessage])[] = [
  ["that is not JSON", () => ({ body: utf8("<order id='1'/>") })],
  ["with an empty body", () => ({ body: new Uint8Array(0) })],
  ["of random bytes", () => ({ body: Uint8Array.from({ length: 5_000 }, (_, i) => (i * 7_919) % 256) })],
  ["cut off in the middle", (type) => ({ body: utf8(eventText(type, '{"n":1}').slice(0, -4)) })],
  ["without an envelope", () => ({ body: utf8('{"orderId":"1"}') })],
  ["that is JSON null", () => ({ body: utf8("null") })],
  ["that is a JSON array", () => ({ body: utf8("[[1],2]") })],
  ["whose envelope has the wrong types", (type) => ({ body: utf8(JSON.stringify({ ...cloudEvent(type, {}), id: { a: 1 }, time: [] })) })],
  ["of an unknown content type", (type) => ({ body: utf8(eventText(type, "{}")), contentType: "application/x-unknown" })],
  ["nested 100,000 deep", (type) => ({ body: utf8(eventText(type, `{"n":1,"data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`)) })],
  ["with the key __proto__", (type) => ({ body: utf8(eventText(type, '{"n":1,"__proto__":{"polluted":true}}')) })],
  [
    "with an escaped key __proto__ deep inside",
    (type) => ({ body: utf8(eventText(type, '{"n":1,"data":[{"\\u005f_proto__":{"polluted":1}}]}')) }),
  ],
  ["with the key constructor", (type) => ({ body: utf8(eventText(type, '{"n":1,"constructor":{"prototype":{"polluted":true}}}')) })],
];

/** Attempt counts and dates that somebody might have written. */
const hostileValues = [
  "NaN",
  "-1",
  "1e30",
  "99999999999999999999999999",
  "",
  "0",
  "1.5",
  "Infinity",
  "+300000-01-01T00:00:00.000Z",
  "[object Object]",
  "🚎",
];

/** P4 for messages that cannot be handled: they are set aside with a reason, and their neighbours do not notice. */
export function p4Poison({ promise }: Suite): void {
  for (const [what, make] of unreadable) {
    promise(`P4 a message ${what} is dead-lettered as undecodable, and its neighbours are handled`, async (stage) => {
      await poisoned(stage, make, "undecodable");
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    });
  }

  promise("P4 a message that its class cannot read is dead-lettered as invalid without a retry", async (stage) => {
    await poisoned(stage, (type) => ({ body: utf8(eventText(type, '{"n":"not a number"}')) }), "invalid");
  });

  promise("P4 a message over the size limit is dead-lettered as too large, whole and without being read", async (stage) => {
    await poisoned(stage, (type) => ({ body: utf8(eventText(type, `{"n":1,"data":"${"x".repeat(60_000)}"}`)) }), "too-large", 50_000);
  });

  promise("P4 10 MB, where the broker takes them, are dead-lettered as too large", async (stage) => {
    const bytes = Math.min(10_000_000, stage.capabilities.maxMessageBytes) - 100;
    await poisoned(stage, () => ({ body: new Uint8Array(bytes).fill(91) }), "too-large", Math.min(1024 * 1024, bytes - 1));
  });

  promise(
    "P4 a message that nobody consumes goes through the delayed retries and is then dead-lettered with that reason",
    async (stage) => {
      const [Placed, Unknown] = [stage.message("placed"), stage.message("unknown")];
      const shipping = stage.name("shipping");
      const seen = stage.collector<number>();
      const retry = { immediate: 3, immediateDelay: "1ms", delays: ["100ms"] } as const;
      const bus = await stage.listen(shipping, Placed, (note) => seen.add(note.n), { retry });

      await bus.send(shipping, new Placed(1));
      await bus.send(shipping, new Unknown(2));
      await bus.send(shipping, new Placed(3));

      const { failure, messageType } = await stage.letter(bus, shipping);
      assert.deepEqual(ascending(await seen.reach(2)), [1, 3]);
      assert.deepEqual([failure.reason, messageType], ["no-consumer", Unknown.messageType]);
      assert.ok(
        failure.firstFailedAt && failure.lastFailedAt && +failure.lastFailedAt - +failure.firstFailedAt >= 98,
        "it waited for a consumer",
      );
    },
  );

  promise("P4 a message that nobody consumes yet is handled when its consumer is deployed within the delayed retries", async (stage) => {
    const [Placed, Fresh] = [stage.message("placed"), stage.message("fresh")];
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    // Several, for the new instance may take longer to start than one delay.
    const retry = { immediate: 0, delays: ["3s", "3s", "3s", "3s"] } as const;
    const before = await stage.listen(shipping, Placed, () => {}, { retry });
    await before.send(shipping, new Fresh(1));
    await stage.eventually("the old instance has met it", () => stage.health(before, shipping).counts.retried > 0);

    const after = stage.bus();
    stage.mixedEndpoint(after, shipping, { retry }).subscribe([Placed, Fresh], (note) => seen.add(note.n));
    await after.start();
    await before.stop();

    assert.deepEqual(await seen.reach(1), [1]);
  });

  promise("P4 a message with hostile headers of ours is handled, or dead-lettered with a story that makes sense", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const consumer = (note: Note): void => {
      if (note.n < 0) throw new Error("always");
      seen.add(note.n);
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 1, immediateDelay: "1ms", delays: ["50ms"] } });
    const raw = await stage.raw();
    const names = await failureHeaderNames(stage);

    for (const [i, value] of hostileValues.entries()) {
      const headers = { ...Object.fromEntries(names.map((name) => [name, value])), "tenant-id": "t1" };
      for (const n of [i + 1, -i - 1]) await raw.send(shipping, { body: utf8(eventText(Placed.messageType, `{"n":${n}}`)), headers });
    }

    assert.deepEqual(
      ascending(await seen.reach(hostileValues.length)),
      hostileValues.map((_, i) => i + 1),
    );
    for (const { failure, headers } of await stage.letters(bus, shipping, hostileValues.length)) {
      assert.equal(failure.reason, "failed");
      assert.equal(failure.errorMessage, "always");
      assert.ok(Number.isSafeInteger(failure.attempts) && failure.attempts >= 1, `attempts: ${failure.attempts}`);
      for (const at of [failure.firstFailedAt, failure.lastFailedAt]) assert.ok(at === undefined || !Number.isNaN(+at));
      assert.deepEqual({ ...headers }, { "tenant-id": "t1" }, "the user's headers, and no claims about ours");
    }
  });

  promise("P4 a consumer may throw anything: the message is dead-lettered and the next one handled", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<number>();
    const thrown = hostileErrors();
    const consumer = (note: Note): Promise<void> => {
      if (note.n < thrown.length) return Promise.reject(thrown[note.n]);
      seen.add(note.n);
      return Promise.resolve();
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 1, immediateDelay: "1ms", delays: ["50ms"] } });

    for (const [n] of thrown.entries()) await bus.publish(new Placed(n));
    await bus.publish(new Placed(thrown.length));

    assert.deepEqual(await seen.reach(1), [thrown.length]);
    for (const { failure } of await stage.letters(bus, shipping, thrown.length)) {
      assert.deepEqual([failure.reason, failure.attempts], ["failed", 4]);
      const details = [failure.errorName, failure.errorMessage, failure.stack].map((text) => Buffer.byteLength(text ?? ""));
      assert.ok(details.reduce((sum, bytes) => sum + bytes) <= 8 * 1024, `the details take ${details} bytes`);
    }
  });
}

/** Sends a good message, the poison and a good message again. @returns the letter, after checking its reason, its body and the neighbours */
async function poisoned(
  stage: Stage,
  make: (type: string) => ForeignMessage,
  reason: Reason,
  maxMessageBytes?: number,
): Promise<DeadLetter> {
  const Plain = stage.message("placed");
  class Placed extends Plain {
    static override fromWire(data: unknown): Note {
      const { n } = data as { n: unknown };
      if (typeof n !== "number") throw new TypeError("n is not a number");
      return new Plain(n);
    }
  }
  const shipping = stage.name("shipping");
  const seen = stage.collector<number>();
  const retry = { immediate: 2, immediateDelay: "1ms", delays: ["50ms"] } as const;
  const limit = maxMessageBytes === undefined ? {} : { maxMessageBytes };
  const bus = await stage.listen(shipping, Placed, (note) => seen.add(note.n), { retry }, limit);
  const raw = await stage.raw();
  const poison = make(Placed.messageType);

  await bus.send(shipping, new Plain(1));
  await raw.send(shipping, poison);
  await bus.send(shipping, new Plain(2));

  assert.deepEqual(ascending(await seen.reach(2)), [1, 2]);
  const letter = await stage.letter(bus, shipping);
  assert.equal(letter.failure.reason, reason, letter.failure.errorMessage);
  assert.ok(letter.failure.attempts <= 1, `it was not retried: ${letter.failure.attempts}`);
  assert.ok(Buffer.from(letter.body).equals(poison.body), "the body is kept byte for byte");
  await stage.counted(bus, shipping, "handled", 2);
  const { counts } = stage.health(bus, shipping);
  assert.deepEqual([counts.handled, counts.retried, counts.deadLettered], [2, 0, 1]);
  return letter;
}

/** The headers that the bus puts on what failed, found by looking at a dead letter. */
async function failureHeaderNames(stage: Stage): Promise<readonly string[]> {
  const Placed = stage.message("placed");
  const endpoint = stage.name("failing");
  const bus = await stage.listen(endpoint, Placed, () => Promise.reject(new Error("always")));
  await bus.publish(new Placed(1));
  await stage.letter(bus, endpoint);
  const found = stage.collector<readonly string[]>();
  const raw = await stage.raw();
  const plan = { name: endpoint, subscribed: [], unsubscribed: [], retryDelaysMs: [], order: "none" } as const;
  await raw.receive(plan, "dead-letter", 1, (delivery) =>
    found.add(Object.keys(delivery.headers).filter((name) => name.startsWith("tb-"))),
  );
  const [names] = await found.reach(1);
  assert.ok(names && names.length > 0, "a dead letter carries headers that begin with tb-");
  return names;
}

function hostileErrors(): readonly unknown[] {
  const cyclic: { self?: unknown; message: string } = { message: "cyclic" };
  cyclic.self = cyclic;
  const huge = new Error("m".repeat(1_000_000));
  huge.stack = "s".repeat(1_000_000);
  const wide = new Error("電".repeat(10_000));
  const odd = new Error("line\r\nbreak \u0000 \ud800 🚎");
  odd.name = "Odd\r\nName\u0000";
  const lying = Object.create(Error.prototype, {
    message: { get: () => assert.fail("message is not to be trusted") },
    stack: { get: () => assert.fail("stack is not to be trusted") },
    name: { get: () => assert.fail("name is not to be trusted") },
  });
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const caused = new Error("outer");
  caused.cause = caused;
  const wrongTypes = Object.assign(new Error("x"), { name: 5, message: { a: 1 }, stack: [] });
  const bare: unknown = Object.create(null);
  return [
    undefined,
    null,
    "text",
    42,
    10n,
    Symbol("s"),
    Object.freeze(new Error("frozen")),
    cyclic,
    huge,
    wide,
    odd,
    lying,
    revoked,
    caused,
    wrongTypes,
    bare,
    () => {},
  ];
}
