import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AssignedPartition } from "../../transports/kafka/assigned-partition.js";
import { FetchPace } from "../../transports/kafka/fetch-pace.js";
import { ScriptedGroup } from "./support/scripted-group.js";

const HOLD_MS = 200;
/** More than two partitions may have waiting. */
const FULL_BYTES = 1_100_000;

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Next {
  isAsked: boolean;
}
/** Whether the next fetch was asked for, now and later. */
function next(waits: Promise<void> | undefined): Next {
  const next = { isAsked: waits === undefined };
  void waits?.then(() => {
    next.isAsked = true;
  });
  return next;
}

describe("a reader of a group", () => {
  /** Has two topics, of which the first record was handed over. */
  async function reading(): Promise<ScriptedGroup> {
    const group = new ScriptedGroup(["slow", "quick"]);
    await group.join("slow", "quick");
    await group.ready();
    for (const topic of ["slow", "quick"]) group.fetched(topic, [0]);
    await group.reach(2);
    return group;
  }

  test("fetches on without a partition that is full while another has room, and with it again when it has room too", async () => {
    const group = await reading();
    const bySlow = next(group.fetchedLarge("slow", range(1, 20), 1_000));
    const byQuick = next(group.fetchedLarge("quick", range(1, 3), 1_000));
    expect([bySlow, byQuick]).toEqual([{ isAsked: false }, { isAsked: false }]);
    await turn();
    expect([bySlow, byQuick]).toEqual([{ isAsked: true }, { isAsked: true }]);
    expect([...group.paused]).toEqual(["slow"]);
    for (let count = 10; group.paused.size > 0; count += 10) {
      await group.reach(count);
      for (const delivery of group.deliveries.slice(count - 10, count)) delivery.complete();
      await turn();
      if (count > 60) throw new Error("it is never resumed");
    }
  });

  test("fetches nothing while all that has more is full, and then with all of it", async () => {
    const group = await reading();
    const byQuick = next(group.fetchedLarge("quick", range(1, 3), 3));
    const bySlow = next(group.fetchedLarge("slow", range(1, 30), 1_000));
    await turn();
    expect([byQuick, bySlow]).toEqual([{ isAsked: true }, { isAsked: false }]);
    let waiting = 0;
    while (!bySlow.isAsked) {
      await group.reach(++waiting);
      group.deliveries[waiting - 1]?.complete();
      await turn();
    }
    expect([...group.paused]).toEqual([]);
  });
});

describe("the pace of fetches", () => {
  const changes: string[] = [];
  const partitions: AssignedPartition[] = [];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    changes.length = 0;
    partitions.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function pace(): FetchPace {
    return new FetchPace(partitions, {
      pause: ({ topic }) => void changes.push(`pause ${topic}`),
      resume: ({ topic }) => void changes.push(`resume ${topic}`),
    });
  }

  function partition(topic: string): AssignedPartition {
    const made = new AssignedPartition({ topic, retryDelayMs: undefined, types: undefined }, 0);
    partitions.push(made);
    return made;
  }

  /** A record of so many bytes was fetched, and there are more. */
  function fetch(each: AssignedPartition, bytes: number, { broker = 1, hasMore = true } = {}): void {
    const { topic, fetched: offset } = each;
    const value = Buffer.alloc(bytes);
    const records = [{ topic, partition: 0, offset, timestamp: 0, key: null, value, headers: {} }];
    const nextOffset = offset + 1;
    const endOffset = hasMore ? 1_000 : nextOffset;
    each.accept({ topic, partition: 0, broker, records, fromOffset: offset, nextOffset, endOffset, isStale: false });
  }

  test("a fetch waits for room no longer than a moment, and never again for the same partitions", async () => {
    const paced = pace();
    const [slow, quick] = [partition("slow"), partition("quick")];
    fetch(slow, FULL_BYTES);
    const bySlow = next(paced.took(slow, true));
    await turn();
    vi.advanceTimersByTime(HOLD_MS - 1);
    await turn();
    expect(bySlow.isAsked).toBe(false);
    vi.advanceTimersByTime(1);
    await turn();
    expect(bySlow.isAsked).toBe(true);
    expect(changes).toEqual(["pause slow"]);
    fetch(quick, 100, { hasMore: false });
    expect(paced.took(quick, true)).toBeUndefined();
    slow.dropWaiting();
    paced.relieve(slow);
    expect(changes).toEqual(["pause slow", "resume slow"]);
  });

  test("no fetch goes out for those that have room while too much waits of all together", async () => {
    const paced = pace();
    const [slow, quick] = [partition("slow"), partition("quick")];
    fetch(slow, 2 * FULL_BYTES);
    const bySlow = next(paced.took(slow, true));
    fetch(quick, 100);
    void paced.took(quick, true);
    await turn();
    expect(bySlow.isAsked).toBe(false);
    slow.dropWaiting();
    fetch(slow, FULL_BYTES);
    paced.look();
    await turn();
    expect([bySlow.isAsked, ...changes]).toEqual([true, "pause slow"]);
  });

  test("a fetch from one broker does not go on for what another has", async () => {
    const paced = pace();
    const [slow, quick] = [partition("slow"), partition("quick")];
    fetch(slow, FULL_BYTES);
    const bySlow = next(paced.took(slow, true));
    fetch(quick, 100, { broker: 2 });
    expect(paced.took(quick, true)).toBeUndefined();
    await turn();
    paced.look();
    await turn();
    expect(bySlow.isAsked).toBe(false);
    slow.dropWaiting();
    paced.relieve(slow);
    paced.look();
    await turn();
    expect([bySlow.isAsked, ...changes]).toEqual([true]);
  });

  test("all batches of one fetch are taken before it is decided about the next", async () => {
    const paced = pace();
    const [slow, quick] = [partition("slow"), partition("quick")];
    fetch(quick, 100);
    expect(paced.took(quick, true)).toBeUndefined();
    fetch(slow, FULL_BYTES);
    const bySlow = next(paced.took(slow, true));
    fetch(quick, FULL_BYTES);
    const byQuick = next(paced.took(quick, true));
    await turn();
    expect([bySlow.isAsked, byQuick.isAsked, ...changes]).toEqual([false, false]);
  });

  test("a partition of which there is nothing more, as far as is known, lets no fetch go on", async () => {
    const paced = pace();
    const [slow, ended, passed] = [partition("slow"), partition("ended"), partition("passed"), partition("never fetched")];
    fetch(ended, 100, { hasMore: false });
    fetch(passed, 100);
    passed.passed(passed.fetched, passed.fetched + 1);
    fetch(slow, FULL_BYTES);
    const bySlow = next(paced.took(slow, true));
    await turn();
    paced.look();
    await turn();
    expect(bySlow.isAsked).toBe(false);
    paced.stop();
    await turn();
    expect(bySlow.isAsked).toBe(true);
    fetch(ended, 100, { hasMore: false });
    expect(paced.took(ended, false)).toBeUndefined();
  });

  test("what makes no room soon is paused at once, and a partition that is lost is waited for no longer", async () => {
    const paced = pace();
    const [later, lost] = [partition("later"), partition("lost")];
    fetch(later, FULL_BYTES);
    expect(paced.took(later, false)).toBeUndefined();
    expect(changes).toEqual(["pause later"]);
    fetch(lost, FULL_BYTES);
    const byLost = next(paced.took(lost, true));
    await turn();
    expect(byLost.isAsked).toBe(false);
    partitions.pop();
    paced.remove(lost);
    await turn();
    expect(byLost.isAsked).toBe(true);
  });
});
