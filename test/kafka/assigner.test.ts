import { describe, expect, test } from "vitest";
import { type Assignment, assignPartitions, type GroupMember, type TypesByTopic } from "../../transports/kafka/assigner.js";

const partitions = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const member = (memberId: string, topics: string[], owned: Assignment = new Map(), types: TypesByTopic = new Map()): GroupMember => ({
  memberId,
  topics,
  owned,
  types,
});
/** A member that handles these types of the topic "a". */
const handling = (memberId: string, ...types: string[]): GroupMember => member(memberId, ["a"], new Map(), new Map([["a", types]]));
const count = (assigned: Assignment | undefined, topic: string): number => assigned?.get(topic)?.length ?? 0;

describe("the assigner", () => {
  test("gives every partition to one member that subscribed its topic", () => {
    const topics = new Map([
      ["a", partitions(6)],
      ["b", partitions(3)],
    ]);
    const result = assignPartitions([member("old", ["a"]), member("new", ["a", "b"])], topics);
    expect(result.get("old")?.get("b")).toBeUndefined();
    expect(result.get("new")?.get("b")).toEqual([0, 1, 2]);
    expect([...(result.get("old")?.get("a") ?? []), ...(result.get("new")?.get("a") ?? [])].sort()).toEqual(partitions(6));
  });

  test("gives nobody a topic that no member subscribed, and members without partitions nothing", () => {
    const result = assignPartitions(
      [member("1", ["a"]), member("2", ["a"])],
      new Map([
        ["a", [0]],
        ["x", [0]],
      ]),
    );
    expect([...result.values()].map((assigned) => [...assigned])).toEqual([[["a", [0]]], []]);
  });

  test("shares each topic evenly, and the odd partitions of many topics too", () => {
    const topics = new Map(Array.from({ length: 10 }, (_, i): [string, number[]] => [`t${i}`, partitions(1 + (i % 4))]));
    const members = Array.from({ length: 3 }, (_, i) => member(`m${i}`, [...topics.keys()]));
    const shares = [...assignPartitions(members, topics).values()];
    for (const [topic, { length }] of topics) {
      for (const share of shares) expect(Math.abs(count(share, topic) - length / 3)).toBeLessThan(1);
    }
    const totals = shares.map((share) => [...share.values()].flat().length);
    expect(Math.max(...totals) - Math.min(...totals)).toBeLessThanOrEqual(1);
  });

  test("leaves a member what it has when others come and go, as far as that is even", () => {
    const topics = new Map([["a", partitions(12)]]);
    let owned = new Map<string, Assignment>();
    const share = (ids: string[]): void => {
      const before = owned;
      owned = new Map(
        assignPartitions(
          ids.map((id) => member(id, ["a"], before.get(id))),
          topics,
        ),
      );
      expect([...owned.values()].flatMap((assigned) => assigned.get("a") ?? []).sort((a, b) => a - b)).toEqual(partitions(12));
      for (const id of ids) {
        const quota = Math.floor(12 / ids.length);
        const kept = (before.get(id)?.get("a") ?? []).filter((partition) => owned.get(id)?.get("a")?.includes(partition));
        expect(kept.length).toBeGreaterThanOrEqual(Math.min(quota, count(before.get(id), "a")));
      }
    };
    for (const ids of [["x"], ["x", "b"], ["x", "b", "c"], ["b", "c"], ["b", "c", "a", "z", "y"], ["z"]]) share(ids);
  });

  test("gives the same result for the same members in any order, and settles two claims to one partition", () => {
    const topics = new Map([["a", partitions(5)]]);
    const claim = new Map([["a", [0, 1, 2]]]);
    const members = [member("1", ["a"], claim), member("2", ["a"], claim), member("3", ["a"])];
    const plain = (result: ReadonlyMap<string, Assignment>): unknown => [...result].map(([id, assigned]) => [id, [...assigned]]);
    expect(plain(assignPartitions(members.toReversed(), topics))).toEqual(plain(assignPartitions(members, topics)));
  });

  test("gives a topic that several types share to members that handle all that any does: the others would pass over what is new", () => {
    const topics = new Map([["a", partitions(4)]]);
    const rolling = assignPartitions(
      [handling("old", "placed"), handling("new", "placed", "paid"), handling("newer", "paid", "placed")],
      topics,
    );
    expect(["old", "new", "newer"].map((id) => count(rolling.get(id), "a"))).toEqual([0, 2, 2]);
    // Who takes whatever comes handles all.
    const unknowing = assignPartitions([handling("old", "placed"), member("all", ["a"])], topics);
    expect(["old", "all"].map((id) => count(unknowing.get(id), "a"))).toEqual([0, 4]);
    expect(count(assignPartitions([handling("old", "placed")], topics).get("old"), "a")).toBe(4);
  });

  test("tells of a shared topic of which no member handles all types, and shares it out all the same", () => {
    const divided: string[] = [];
    const members = [handling("old", "placed", "gone"), handling("new", "placed", "paid")];
    const shares = assignPartitions(members, new Map([["a", partitions(4)]]), (topic) => divided.push(topic));
    expect(["old", "new"].map((id) => count(shares.get(id), "a"))).toEqual([2, 2]);
    expect(divided).toEqual(["a"]);
  });
});
