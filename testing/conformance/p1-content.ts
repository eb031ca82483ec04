import assert from "node:assert/strict";
import { PublishError, TrolleybusError } from "../../src/index.js";
import { numbersBelow } from "./note.js";
import type { Suite } from "./suite.js";

const MiB = 1024 * 1024;
/** More than any envelope of the suite takes beside its data. */
const ENVELOPE_ROOM = 2 * 1024;

const everyCodeUnitBelow0x300 = String.fromCharCode(...numbersBelow(0x300));
const contents: Readonly<Record<string, unknown>> = {
  accents: "Příliš žluťoučký kůň úpěl ďábelské ódy",
  emoji: "🚎 👩‍👩‍👧‍👦 🇨🇿",
  scripts: "电车 トロリーバス ترولي باص טרוליבוס ﷽",
  separators: "\u2028\u2029\u0085\u00a0\ufeff\u202e",
  controls: everyCodeUnitBelow0x300,
  loneSurrogates: ["\ud800", "a\udfffb", "\udc00\ud800"],
  binaryLooking: `\u0000\u0001\u0002PK\u0003\u0004${"\u00ff\u00fe".repeat(100)}\u0000`,
  looksLikeJson: '{"specversion":"1.0","id":"x"}\r\n\r\n--boundary',
  escapes: String.raw`\ \u0041 " ' %s %00 </script>`,
  numbers: [0, -1, 1.5, 1e-7, 1e21, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE, Number.MAX_VALUE],
  literals: [true, false, null, "", [], {}],
  keys: { "": 1, " ": 2, "a.b": 3, ž: 4, "🚎": 5, length: 6, toString: 7, hasOwnProperty: 8 },
  nested: numbersBelow(50).reduce<unknown>((inner) => ({ inner: [inner] }), "core"),
};

/** Ordinary ones, the longest, and those that mean something to a broker, a protocol or JavaScript. */
const headerNames = [
  ...["a", "0", "tenant-id", "x-9", "x".repeat(64), "constructor", "to-string", "length"],
  ...["cc", "bcc", "x-death", "x-delivery-count", "x-opt-delivery-time", "x-match", "x-first-death-queue", "x-message-ttl"],
  ...["content-type", "message-id", "correlation-id", "partition-key", "traceparent", "ce-id", "id", "key", "expiration", "priority"],
];

/** P1 for what is in a message: it arrives as it was published, whatever it is. */
export function p1Content({ promise, capabilities }: Suite): void {
  promise("P1 every text, number and shape that JSON can carry arrives as it was published", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<unknown>();
    const bus = await stage.listen(stage.name("shipping"), Placed, (note) => seen.add(note.data));

    await bus.publish(new Placed(1, contents));

    assert.deepEqual(await seen.reach(1), [contents]);
  });

  promise("P1 content survives a delayed retry and a replay from the dead letters", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const seen = stage.collector<unknown>();
    let mended = false;
    const consumer = (note: { readonly data: unknown }): void => {
      seen.add(note.data);
      if (!mended) throw new Error("not yet");
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 0, delays: ["100ms"] } });

    await bus.publish(new Placed(1, contents), { headers: { tenant: "příliš 🚎" } });
    await stage.letter(bus, shipping);
    mended = true;
    const { replayed } = await bus.deadLetters(shipping).process(() => "replay");
    assert.equal(replayed, 1);

    assert.deepEqual(await seen.reach(3), [contents, contents, contents]);
  });

  promise("P1 a header of any text arrives as it was published, or publish says why it cannot", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<Readonly<Record<string, string>>>();
    const bus = await stage.listen(stage.name("shipping"), Placed, (_note, context) => seen.add({ ...context.headers }));
    const values = ["plain", "", " padded ", "příliš", "🚎", "电车", "a,b;c=d", '"quoted"', "x".repeat(8_000), "1", "true", "null"];
    const odd = ["line\r\nx-injected: 1", "nul\u0000", "\u202e", "\u007f", "\t"];

    for (const value of values) await bus.publish(new Placed(1), { headers: { "tenant-id": value } });
    assert.deepEqual(
      [...(await seen.reach(values.length))].map((headers) => headers["tenant-id"]).sort(),
      [...values].sort(),
      "every ordinary text",
    );
    let taken = 0;
    for (const value of odd) {
      try {
        await bus.publish(new Placed(2), { headers: { odd: value } });
        taken++;
      } catch (error) {
        assert.ok(error instanceof TrolleybusError, `a header that cannot travel is refused with an error of ours: ${error}`);
      }
    }
    const arrived = (await seen.reach(values.length + taken)).slice(values.length);
    for (const headers of arrived)
      assert.ok(odd.includes(headers["odd"] ?? "?") && Object.keys(headers).length === 1, JSON.stringify(headers));
  });

  promise("P1 a header of any name arrives, or publish says why it cannot: none is left out in silence", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<Readonly<Record<string, string>>>();
    const bus = await stage.listen(stage.name("shipping"), Placed, (_note, context) => seen.add({ ...context.headers }));

    const taken: string[] = [];
    for (const name of headerNames) {
      try {
        await bus.publish(new Placed(1), { headers: { [name]: "value" } });
        taken.push(name);
      } catch (error) {
        assert.ok(error instanceof TrolleybusError, `${name} is refused with an error of ours: ${error}`);
      }
    }

    const arrived = await seen.reach(taken.length);
    assert.deepEqual(
      arrived.map((headers) => JSON.stringify(headers)).sort(),
      taken.map((name) => JSON.stringify({ [name]: "value" })).sort(),
    );
    for (const ordinary of ["a", "0", "tenant-id", "x-9"]) assert.ok(taken.includes(ordinary), `${ordinary} is taken`);
  });

  promise("P1 ids and keys of 128 characters arrive as they are", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<readonly unknown[]>();
    const bus = await stage.listen(stage.name("shipping"), Placed, (_note, { messageId, correlationId, partitionKey }) => {
      seen.add([messageId, correlationId, partitionKey]);
    });
    const ids = ["i", "c", "k"].map((letter) => letter.repeat(128)) as [string, string, string];

    await bus.publish(new Placed(1), { messageId: ids[0], correlationId: ids[1], partitionKey: ids[2] });
    assert.deepEqual(await seen.reach(1), [ids]);

    // 128 characters can be more than the 255 bytes that brokers have for an id.
    const wide = ["電", "車", "鍵"].map((letter) => letter.repeat(128)) as [string, string, string];
    let refused = false;
    try {
      await bus.publish(new Placed(2), { messageId: wide[0], correlationId: wide[1], partitionKey: wide[2] });
    } catch (error) {
      assert.ok(error instanceof TrolleybusError, `an id that cannot travel is refused with an error of ours: ${error}`);
      refused = true;
    }
    await bus.publish(new Placed(3), { messageId: "after" });
    await seen.reach(refused ? 2 : 3);
    if (!refused)
      assert.deepEqual(
        seen.items.find(([id]) => id !== ids[0] && id !== "after"),
        wide,
      );
  });

  promise("P1 a message of nearly 1 MiB arrives whole, and whole it is dead-lettered", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const text = "0123456789abcdef".repeat((Math.min(MiB, capabilities.maxMessageBytes) - ENVELOPE_ROOM) / 16);
    const seen = stage.collector<unknown>();
    const error = new Error("x".repeat(100_000));
    error.stack = "y".repeat(100_000);
    const bus = await stage.listen(shipping, Placed, (note) => {
      seen.add(note.data);
      if (note.n === 2) throw error;
    });

    await bus.publish(new Placed(1, text));
    await bus.publish(new Placed(2, text), { headers: { tenant: "t".repeat(1_000) } });

    const [first, second] = await seen.reach(2);
    assert.ok(first === text && second === text);
    const letter = await stage.letter(bus, shipping);
    assert.ok(new TextDecoder().decode(letter.body).includes(text));
    assert.equal(letter.headers["tenant"]?.length, 1_000);
  });

  promise("P5 a message over the limit is refused by publish before anything is sent", async (stage) => {
    const Placed = stage.message("placed");
    const seen = stage.collector<number>();
    const bus = await stage.listen(stage.name("shipping"), Placed, (note) => seen.add(note.n));
    const limited = stage.bus({ maxMessageBytes: 10_000 });
    const refusal = (error: unknown): boolean => {
      assert.ok(error instanceof PublishError);
      assert.deepEqual([error.code, error.outcome], ["too-large", "refused"]);
      return true;
    };

    await assert.rejects(bus.publish(new Placed(1, "x".repeat(Math.min(MiB, capabilities.maxMessageBytes) + 1))), refusal);
    await assert.rejects(limited.publish(new Placed(2, "x".repeat(10_000))), refusal);
    await assert.rejects(limited.publish(new Placed(3, "é".repeat(5_000))), refusal, "bytes are counted, not characters");
    await limited.publish(new Placed(4, "x".repeat(10_000 - ENVELOPE_ROOM)));

    assert.deepEqual(await seen.reach(1), [4]);
  });
}
