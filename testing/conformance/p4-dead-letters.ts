import assert from "node:assert/strict";
import type { ConsumeContext, DeadLetter } from "../../src/index.js";
import { CLOUD_EVENTS_JSON, cloudEvent, utf8 } from "./cloud-event.js";
import { ascending, type Note, numbersBelow } from "./note.js";
import type { Stage } from "./stage.js";
import type { Suite } from "./suite.js";

const numberIn = (letter: DeadLetter): number => (JSON.parse(new TextDecoder().decode(letter.body)) as { data: Note }).data.n;

/** P4 for what was given up on: it is kept whole, with its story, until somebody decides. */
export function p4DeadLetters({ promise }: Suite): void {
  for (const [road, delays] of [
    ["at once", []],
    ["after a delayed retry", ["50ms"]],
  ] as const) {
    promise(`P4 a message dead-lettered ${road} keeps its body and headers byte for byte, and tells what happened`, async (stage) => {
      const Placed = stage.message("placed");
      const shipping = stage.name("shipping");
      const before = Date.now();
      const bus = await stage.listen(
        shipping,
        Placed,
        () => {
          throw new RangeError("no such street");
        },
        { retry: { immediate: 1, immediateDelay: "1ms", delays } },
      );
      const event = cloudEvent(Placed.messageType, { n: 1, data: "příliš 🚎" });
      const body = utf8(`\n  ${JSON.stringify(event, null, 3)} \t\r\n`);
      const headers = { "tenant-id": "žluťoučký 🚎", empty: "", spaced: " a  b " };

      const raw = await stage.raw();
      await raw.send(shipping, { body, headers, messageId: event.id, messageType: event.type, contentType: CLOUD_EVENTS_JSON });

      const letter = await stage.letter(bus, shipping);
      assert.deepEqual(Buffer.from(letter.body), Buffer.from(body));
      assert.deepEqual({ ...letter.headers }, headers);
      assert.deepEqual([letter.messageId, letter.messageType], [event.id, event.type]);
      const { failure } = letter;
      assert.deepEqual(
        [failure.reason, failure.endpoint, failure.errorName, failure.errorMessage, failure.attempts],
        ["failed", shipping, "RangeError", "no such street", delays.length === 0 ? 2 : 4],
      );
      assert.match(failure.stack ?? "", /no such street/);
      assert.ok(failure.source, "where it came from");
      const { firstFailedAt, lastFailedAt } = failure;
      assert.ok(firstFailedAt && lastFailedAt);
      assert.ok(
        +firstFailedAt >= before && +lastFailedAt <= Date.now() && firstFailedAt <= lastFailedAt,
        `${firstFailedAt} ${lastFailedAt}`,
      );
      if (delays.length > 0) assert.ok(+lastFailedAt - +firstFailedAt >= 48, "the first failure is remembered over the delay");
    });
  }

  promise("P4 a replayed message goes to this endpoint alone, with its id and headers and no attempts", async (stage) => {
    const Placed = stage.message("placed");
    const [shipping, email] = [stage.name("shipping"), stage.name("email")];
    const [shipped, emailed] = [stage.collector<object>(), stage.collector<number>()];
    let mended = false;
    const bus = stage.bus();
    const retry = { immediate: 1, immediateDelay: "1ms", delays: ["50ms"] } as const;
    stage.endpoint(bus, shipping, { retry }).subscribe(Placed, (note, { messageId, correlationId, partitionKey, headers, attempt }) => {
      if (!mended) throw new Error("not mended yet");
      shipped.add({ n: note.n, messageId, correlationId, partitionKey, headers: { ...headers }, attempt });
    });
    stage.endpoint(bus, email, { deduplication: false }).subscribe(Placed, (note) => emailed.add(note.n));
    await bus.start();
    const options = { messageId: "order-1", correlationId: "checkout", partitionKey: "k", headers: { "tenant-id": "příliš" } };
    await bus.publish(new Placed(1), options);
    await stage.letter(bus, shipping);
    mended = true;

    const result = await bus.deadLetters(shipping).process(() => "replay");

    assert.deepEqual(result, { replayed: 1, dropped: 0, kept: 0 });
    assert.deepEqual(await shipped.reach(1), [{ n: 1, ...options, attempt: 1 }]);
    await bus.publish(new Placed(2));
    assert.deepEqual(await emailed.reach(2), [1, 2]);
    await stage.letters(bus, shipping, 0);
  });

  promise("P4 a replayed message that fails again has all its attempts and is dead-lettered anew", async (stage) => {
    const Placed = stage.message("placed");
    const shipping = stage.name("shipping");
    const attempts = stage.collector<number>();
    const consumer = (_note: Note, { attempt }: ConsumeContext): void => {
      attempts.add(attempt);
      throw new Error("always");
    };
    const bus = await stage.listen(shipping, Placed, consumer, { retry: { immediate: 1, immediateDelay: "1ms", delays: ["50ms"] } });
    await bus.publish(new Placed(1));
    await stage.letter(bus, shipping);

    const { replayed } = await bus.deadLetters(shipping).process(() => "replay");
    assert.equal(replayed, 1, "a letter that was kept is there for the next call");
    await stage.counted(bus, shipping, "deadLettered", 2);

    assert.deepEqual(attempts.items, [1, 2, 3, 4, 1, 2, 3, 4]);
    assert.equal((await stage.letter(bus, shipping)).failure.attempts, 4);
  });

  promise("P4 kept letters stay, dropped ones are gone, and the counts say which", async (stage) => {
    const { bus, endpoint } = await failing(stage, 6);
    const visited: number[] = [];

    const result = await bus.deadLetters(endpoint).process(async (letter) => {
      visited.push(numberIn(letter));
      return numberIn(letter) % 2 === 0 ? "drop" : "keep";
    });

    assert.deepEqual(result, { replayed: 0, dropped: 3, kept: 3 });
    assert.deepEqual(visited, [0, 1, 2, 3, 4, 5], "oldest first");
    assert.deepEqual(ascending((await stage.letters(bus, endpoint, 3)).map(numberIn)), [1, 3, 5]);
    assert.deepEqual(ascending((await stage.letters(bus, endpoint, 3)).map(numberIn)), [1, 3, 5], "looking changes nothing");
  });

  promise("P4 process visits each letter once, also one that fails anew meanwhile", async (stage) => {
    const { bus, endpoint } = await failing(stage, 3);
    let visits = 0;

    const result = await bus.deadLetters(endpoint).process(async (): Promise<"replay"> => {
      visits++;
      // The first to be replayed is back among the dead letters before the second is decided on.
      if (visits === 2) await stage.counted(bus, endpoint, "deadLettered", 4);
      return "replay";
    });

    assert.deepEqual([visits, result.replayed], [3, 3]);
    await stage.counted(bus, endpoint, "deadLettered", 6);
    await stage.letters(bus, endpoint, 3);
  });

  promise("P4 process visits no more letters than its limit", async (stage) => {
    const { bus, endpoint } = await failing(stage, 5);
    const visited: number[] = [];
    const decide = (letter: DeadLetter): "drop" => {
      visited.push(numberIn(letter));
      return "drop";
    };

    assert.deepEqual(await bus.deadLetters(endpoint).process(decide, { limit: 2 }), { replayed: 0, dropped: 2, kept: 0 });

    assert.deepEqual(visited, [0, 1]);
    assert.deepEqual(ascending((await stage.letters(bus, endpoint, 3)).map(numberIn)), [2, 3, 4]);
  });

  promise("P4 when decide throws, that letter and the rest are kept and process rejects with the error", async (stage) => {
    const { bus, endpoint } = await failing(stage, 4);
    let visits = 0;
    const doubt = new Error("in doubt");

    await assert.rejects(
      bus.deadLetters(endpoint).process(() => {
        if (++visits === 2) throw doubt;
        return "drop";
      }),
      (error) => error === doubt || (error instanceof Error && error.cause === doubt),
    );

    assert.equal(visits, 2);
    assert.deepEqual(ascending((await stage.letters(bus, endpoint, 3)).map(numberIn)), [1, 2, 3]);
  });

  promise("P4 hundreds of letters are visited in one call, and none of another endpoint", async (stage) => {
    const many = await failing(stage, 300);
    const other = await failing(stage, 1);
    const visited: number[] = [];

    const result = await many.bus.deadLetters(many.endpoint).process((letter) => {
      visited.push(numberIn(letter));
      return "drop";
    });

    assert.deepEqual(result, { replayed: 0, dropped: 300, kept: 0 });
    assert.deepEqual(ascending(visited), numbersBelow(300));
    await stage.letters(many.bus, many.endpoint, 0);
    await stage.letters(other.bus, other.endpoint, 1);
  });

  promise("P4 looking at the dead letters of an endpoint that has none visits nothing", async (stage) => {
    const { bus, endpoint } = await failing(stage, 0);
    assert.deepEqual(await bus.deadLetters(endpoint).process(() => "drop"), { replayed: 0, dropped: 0, kept: 0 });
  });
}

/** An endpoint whose consumer always fails, with that many dead letters, in the order of their numbers. */
async function failing(
  stage: Stage,
  letters: number,
): Promise<{ readonly bus: Awaited<ReturnType<Stage["listen"]>>; readonly endpoint: string }> {
  const Placed = stage.message("placed");
  const endpoint = stage.name("shipping");
  const bus = await stage.listen(endpoint, Placed, () => Promise.reject(new Error("always")), { concurrency: 1, prefetch: 50 });
  // One key, so that their order is promised everywhere; without one where there are too many to go one after the other.
  const options = letters < 10 ? { partitionKey: "letters" } : {};
  await Promise.all(numbersBelow(letters).map((n) => bus.publish(new Placed(n), options)));
  await stage.counted(bus, endpoint, "deadLettered", letters);
  return { bus, endpoint };
}
