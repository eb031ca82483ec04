import { describe, expect, test } from "vitest";
import { readCommitMetadata } from "../../transports/kafka/commit-metadata.js";
import { DriverError } from "../../transports/kafka/driver.js";
import type { CommitOffset } from "../../transports/kafka/driver-consumer.js";
import { eventually } from "./support/eventually.js";
import { ScriptedGroup } from "./support/scripted-group.js";

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** The group of a reader to which the first two records of a topic were handed over. */
async function holdingTwo(): Promise<ScriptedGroup> {
  const group = new ScriptedGroup(["a"]);
  await group.join("a");
  await group.ready();
  group.fetched("a", range(0, 2));
  await group.reach(2);
  return group;
}

describe("a reader of a group", () => {
  test("gives a partition whose records are settled slowly no more than its part of the prefetch while others have records", async () => {
    const group = new ScriptedGroup(["slow", "quick"]);
    const handed = (topic: string): number => group.handedOver.filter((each) => each.startsWith(topic)).length;
    await group.join("slow", "quick");
    await group.ready();
    for (const topic of ["slow", "quick"]) group.fetched(topic, [0]);
    await group.reach(2);
    group.fetched("slow", range(1, 40));
    await group.reach(10);
    group.fetched("quick", range(1, 40));
    expect([handed("slow"), handed("quick")]).toEqual([9, 1]);
    // What has room as the slow one's are settled is the other's, up to its part, and from then on whatever it settles.
    for (const delivery of group.deliveries.slice(2, 6)) delivery.complete();
    for (let round = 1; round <= 4; round++) {
      await group.reach(9 + 5 * round);
      expect([handed("slow"), handed("quick")]).toEqual([9, 5 * round]);
      for (const delivery of group.deliveries.slice(round === 1 ? -4 : -5)) delivery.complete();
      if (round === 1) group.deliveries[1]?.complete();
    }
  });

  test("takes what another member did of a partition that it believes it kept, when it missed the generation in between", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 5));
    await group.reach(5);
    group.committedByAnother("a", 5);

    await group.join("a");
    await eventually("what was held to be lost", () => group.deliveries.every(({ isLost }) => isLost));
    expect(group.deliveries.map((delivery) => delivery.complete())).toEqual(Array.from({ length: 5 }, () => "lost"));
    expect(group.seeks).toEqual(["a@0", "a@5"]);
    group.fetched("a", range(5, 7));
    await group.reach(7);
    expect(group.handedOver.slice(5)).toEqual(["a@5", "a@6"]);
  });

  test("keeps what it holds of a partition that nobody else had, and does not hand it over again", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 5));
    await group.reach(5);

    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 6));
    await group.reach(6);
    expect(group.handedOver).toEqual(range(0, 6).map((offset) => `a@${offset}`));
    expect(group.deliveries.map((delivery) => delivery.complete())).toEqual(Array.from({ length: 6 }, () => "settled"));
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 6);
  });

  test("hands nothing over after a commit that was refused since the group goes on without it, until it has joined again", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 1));
    await group.reach(1);
    let refused = 0;
    group.onCommit = () => {
      refused++;
      throw new DriverError("fenced", "not aware of this member");
    };
    group.deliveries[0]?.complete();
    await eventually("the refusal", () => refused > 0);
    group.fetched("a", range(1, 5));
    expect(group.handedOver).toEqual(["a@0"]);

    group.onCommit = () => {};
    await group.join("a");
    await group.reach(5);
    expect(group.handedOver).toEqual(range(0, 5).map((offset) => `a@${offset}`));
  });

  test("begins with the next member, where nothing was handed over yet, with the log as it is then", async () => {
    const group = new ScriptedGroup(["a"]);
    group.committedByAnother("a", 100);
    await group.join("a");
    await group.ready();
    group.committed.clear();

    await group.end(new DriverError("no-topic", "it was deleted", { type: "UNKNOWN_TOPIC_OR_PARTITION" }));
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 3));
    await group.reach(3);
    expect(group.handedOver).toEqual(["a@0", "a@1", "a@2"]);
  });

  test("goes back with the group, where nothing was handed over yet, when it has joined again as the same member", async () => {
    const group = new ScriptedGroup(["a"]);
    group.committedByAnother("a", 100);
    await group.join("a");
    await group.ready();
    group.committed.clear();

    await group.join("a");
    await group.ready();
    expect(group.seeks).toEqual(["a@100", "a@0"]);
    group.fetched("a", range(0, 3));
    await group.reach(3);
    expect(group.handedOver).toEqual(["a@0", "a@1", "a@2"]);
  });

  test("passes over what is older than the beginning that another instance committed a moment ago", async () => {
    const group = new ScriptedGroup(["a"], { startOf: () => "now" });
    group.committedByAnother("a", 3);
    await group.join("a");
    await group.ready();
    // Fetched from the first record before the other had committed: it is sought elsewhere.
    expect(group.seeks).toEqual(["a@3"]);
    group.fetched("a", range(3, 5));
    await group.reach(2);
    expect(group.handedOver).toEqual(["a@3", "a@4"]);
  });

  test("commits what was done of other topics when one is gone, and nothing of what was lost meanwhile", async () => {
    const group = new ScriptedGroup(["a", "b", "c"]);
    await group.join("a", "b", "c");
    await group.ready();
    for (const topic of ["a", "b", "c"]) group.fetched(topic, [0]);
    await group.reach(3);
    group.onCommit = (offsets) => {
      if (offsets.length > 1 && offsets.some(({ topic, offset }) => topic === "a" && offset === 1)) {
        void group.join("b");
        throw new DriverError("no-topic", "a is gone", { type: "UNKNOWN_TOPIC_OR_PARTITION" });
      }
    };
    // In this order, whichever partition had the first turn.
    for (const record of ["a@0", "b@0", "c@0"]) group.deliveries[group.handedOver.indexOf(record)]?.complete();
    await eventually("what is left to be committed", () => group.committed.get("b/0")?.offset === 1);
    expect(group.committed.get("c/0")?.offset).toBe(0);
  });

  test("passes over what is no record, also when it hears of that before it knows where it goes on, and never over what may be one", async () => {
    const group = new ScriptedGroup(["a", "b"], { endOf: () => 6 });
    group.committedByAnother("a", 5);
    group.committedByAnother("b", 4);
    await group.join("a", "b");
    group.passed("a", 5, 6);
    group.passed("b", 5, 6);
    await group.ready();
    expect(group.isExhausted).toBe(false);
    group.fetched("b", [4]);
    await group.reach(1);
    expect(group.handedOver).toEqual(["b@4"]);
    group.passed("b", 5, 6);
    await eventually("the end", () => group.isExhausted);
  });

  test("takes what two leaders sent of a partition that moves from one to the other once, and keeps what it holds", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 5));
    await group.reach(5);
    group.fetched("a", range(2, 7));
    await group.reach(7);
    expect(group.handedOver).toEqual(range(0, 7).map((offset) => `a@${offset}`));
    expect(group.deliveries.map((delivery) => delivery.complete())).toEqual(Array.from({ length: 7 }, () => "settled"));
  });

  test("goes back to what the client skipped, for it may be records, and takes nothing that it fetched beyond", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 3));
    await group.reach(3);
    group.fetched("a", range(5, 7));
    await eventually("the client to be sent back", () => group.seeks.at(-1) === "a@3");
    group.fetched("a", range(3, 7));
    await group.reach(7);
    expect(group.handedOver).toEqual(range(0, 7).map((offset) => `a@${offset}`));
  });

  test("goes back where the client stands elsewhere after it has joined again as the same member", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 3));
    await group.reach(3);
    await group.join("a");
    group.fetched("a", range(5, 7));
    await group.ready();
    expect(group.seeks.at(-1)).toBe("a@3");
    group.fetched("a", range(3, 7));
    await group.reach(7);
    expect(group.handedOver).toEqual(range(0, 7).map((offset) => `a@${offset}`));
  });

  test("passes over offsets that are not in the batch that was asked for, since they are no records", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", [2, 5], 8, 0);
    await group.reach(2);
    for (const delivery of group.deliveries) delivery.complete();
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 8);
  });

  test("goes on where the log begins when what it was to read next is deleted, and says so", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 3));
    await group.reach(3);
    group.earliest = 10;
    group.fetched("a", range(12, 14), 14, 12);
    await eventually("the client to be sent to the beginning", () => group.seeks.at(-1) === "a@10");
    expect(group.warnings.join()).toContain("The log of a/0 begins at 10: what it had from 3 on was deleted before it was read");
    group.fetched("a", range(10, 14));
    await group.reach(7);
    expect(group.handedOver.slice(3)).toEqual(range(10, 14).map((offset) => `a@${offset}`));
  });

  test("hands over again when a commit is accepted after one that was refused, without a word of another generation", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 1));
    await group.reach(1);
    let refused = 0;
    group.onCommit = () => {
      if (refused++ === 0) throw new DriverError("fenced", "not aware of this member");
    };
    group.deliveries[0]?.complete();
    await eventually("the refusal", () => refused > 0);
    group.fetched("a", range(1, 5));
    await group.reach(5);
  });

  test("goes on behind a slow record, and says so, where the brokers take less beside an offset than what is done there needs", async () => {
    const group = new ScriptedGroup(["a"]);
    const most = 60;
    group.onCommit = (offsets) => {
      if (offsets.some(({ metadata }) => metadata.length > most))
        throw new DriverError("too-large", "the metadata is too large", { type: "OFFSET_METADATA_TOO_LARGE" });
    };
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 1_000));
    let done = 1;
    await eventually("all but the first to be done", () => {
      for (; done < group.deliveries.length; done++) group.deliveries[done]?.complete();
      return done === 1_000;
    });
    expect(group.committed.get("a/0")?.offset).toBe(0);
    group.deliveries[0]?.complete();
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 1_000);
    expect(group.warnings).toEqual([expect.stringContaining("offset.metadata.max.bytes")]);
  });

  test("goes on with other partitions after those went whose commit had failed and could not be tried again meanwhile", async () => {
    const group = new ScriptedGroup(["a", "b"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 4));
    await group.reach(4);
    const unavailable = new DriverError("unavailable", "the coordinator is moving");
    let failures = 0;
    group.onCommit = () => {
      failures++;
      throw unavailable;
    };
    group.deliveries[0]?.complete();
    await eventually("a commit to fail", () => failures > 0);
    await group.end(unavailable);
    // By then the next try has found no member.
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const delivery of group.deliveries.slice(1)) delivery.complete();
    group.onCommit = () => {};

    await group.join("b");
    await group.ready();
    group.fetched("b", range(0, 3));
    await group.reach(7);
    expect(group.handedOver.slice(4)).toEqual(["b@0", "b@1", "b@2"]);
  });

  test("takes what a former leader sends late for what it is: nothing is run again, and nothing that is committed goes back", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 5));
    await group.reach(5);
    for (const delivery of group.deliveries) delivery.complete();
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 5);
    group.fetched("a", range(2, 7), 7, 2);
    await eventually("the client to be sent on", () => group.seeks.at(-1) === "a@5");
    group.fetched("a", range(5, 7));
    await group.reach(7);
    expect(group.handedOver).toEqual(range(0, 7).map((offset) => `a@${offset}`));
    expect(group.commits.flat().every(({ offset }, i, all) => i === 0 || offset >= (all[i - 1]?.offset ?? 0))).toBe(true);
  });

  test("begins anew where the client was sent to the beginning of the log, also when the log is as long again by then", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 5));
    await group.reach(5);
    for (const delivery of group.deliveries) delivery.complete();
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 5);
    group.latest = 5;
    group.fetched("a", range(0, 2));
    await eventually("the client to be sent to the beginning", () => group.seeks.length === 2);
    expect(group.seeks.at(-1)).toBe("a@0");
    group.fetched("a", range(0, 5));
    await group.reach(10);
    expect(group.handedOver.slice(5)).toEqual(range(0, 5).map((offset) => `a@${offset}`));
  });

  test("begins anew where the log ends before what was fetched", async () => {
    const group = new ScriptedGroup(["a"]);
    await group.join("a");
    await group.ready();
    group.fetched("a", range(0, 5));
    await group.reach(5);
    for (const delivery of group.deliveries) delivery.complete();
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 5);
    group.latest = 4;
    group.fetched("a", range(2, 4));
    await eventually("the client to be sent to the beginning", () => group.seeks.length === 2);
    expect(group.seeks.at(-1)).toBe("a@0");
    group.fetched("a", range(0, 4));
    await group.reach(9);
    expect(group.handedOver.slice(5)).toEqual(range(0, 4).map((offset) => `a@${offset}`));
  });

  test("hands others over again when a suspect has failed and killed nobody, and what follows the suspect when it is done", async () => {
    const group = new ScriptedGroup(["a", "b"]);
    group.committedByAnother("a", 0, 2);
    await group.join("a", "b");
    await group.ready();
    group.fetched("a", range(0, 2));
    await group.reach(1);
    const [suspect] = group.deliveries;
    expect([suspect?.source, suspect?.suspicion]).toEqual(["a/0@0", "careful"]);
    group.fetched("b", range(0, 2));
    expect(group.handedOver).toEqual(["a@0"]);
    suspect?.survived?.();
    await group.reach(3);
    expect(group.handedOver).toEqual(["a@0", "b@0", "b@1"]);
    for (const delivery of group.deliveries) delivery.complete();
    await group.reach(4);
    expect(group.handedOver.at(-1)).toBe("a@1");
  });

  test("takes back that it has begun a partition when it goes before it has heard that its beginning is committed", async () => {
    const group = new ScriptedGroup(["a", "b"]);
    group.committedByAnother("b", 0);
    await group.join("a", "b");
    await group.ready();
    const begun: CommitOffset[] = [];
    let answer = (): void => {};
    group.onCommit = (offsets) => {
      begun.push(...offsets.filter(({ topic }) => topic === "b"));
      return begun.length === 1 ? new Promise<void>((resolve) => (answer = resolve)) : undefined;
    };
    group.fetched("b", [0]);
    await eventually("the beginning to be on its way", () => begun.length === 1);
    group.rebalancing();
    await eventually("what is handed over", () => begun.length === 2);
    answer();
    expect(begun.map(({ metadata }) => readCommitMetadata(metadata).starts)).toEqual([1, 0]);
  });

  test("that stops while the group shares out its partitions commits what it has done since, once it knows what stays with it", async () => {
    const group = await holdingTwo();
    group.rebalancing();
    for (const delivery of group.deliveries) delivery.complete();
    let isClosed = false;
    const closed = group.reader.close(performance.now() + 5_000).then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isClosed).toBe(false);
    await group.join("a");
    await closed;
    expect(group.committed.get("a/0")?.offset).toBe(2);
  });

  test("that stops before it knows where its partitions go on commits what was done in the rebalance before", async () => {
    let answer = (): void => {};
    const group = await holdingTwo();
    group.rebalancing();
    for (const delivery of group.deliveries) delivery.complete();
    group.whenCommitted = new Promise((resolve) => (answer = resolve));
    await group.join("a");
    // By then the first commit after it has joined has found nothing that may be committed.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closed = group.reader.close(performance.now() + 5_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    answer();
    await closed;
    expect(group.committed.get("a/0")?.offset).toBe(2);
  });

  test("that stops while the group shares out its partitions waits for nothing when all that it has done is committed", {
    // Nobody ever joins again: it would wait for 5 s.
    timeout: 4_000,
  }, async () => {
    const group = await holdingTwo();
    for (const delivery of group.deliveries) delivery.complete();
    await eventually("all to be committed", () => group.committed.get("a/0")?.offset === 2);
    group.rebalancing();
    await group.reader.close(performance.now() + 60_000);
    expect(group.committed.get("a/0")?.offset).toBe(2);
  });
});
