import { expect, test } from "vitest";
import { type Linked, LinkedSet } from "../../../src/util/linked-set.js";

interface Item extends Linked {
  readonly name: string;
}
const names = (set: LinkedSet<Item>): string[] => set.all().map(({ name }) => name);

test("what is put in is there in its order until it is taken out, wherever it stands", () => {
  for (const taken of ["a", "b", "c", "d"]) {
    const set = new LinkedSet<Item>();
    const items: Item[] = ["a", "b", "c", "d"].map((name) => ({ name }));
    for (const item of items) set.add(item);
    const one = items.find(({ name }) => name === taken) as Item;
    expect(set.delete(one)).toBe(true);
    expect(set.delete(one)).toBe(false);
    expect(names(set)).toEqual(["a", "b", "c", "d"].filter((name) => name !== taken));
    expect(set.first?.name).toBe(taken === "a" ? "b" : "a");
    set.add(one);
    expect(names(set).at(-1)).toBe(taken);
  }
});

test("a set that was emptied is as good as new", () => {
  const set = new LinkedSet<Item>();
  const [a, b]: [Item, Item] = [{ name: "a" }, { name: "b" }];
  set.add(a);
  set.add(b);
  set.delete(b);
  set.delete(a);
  expect([set.first, names(set)]).toEqual([undefined, []]);
  set.add(b);
  set.add(a);
  expect(names(set)).toEqual(["b", "a"]);
});

test("what is in another set, or in none, is not taken out of this one", () => {
  const [one, other] = [new LinkedSet<Item>(), new LinkedSet<Item>()];
  const item: Item = { name: "a" };
  expect(one.delete(item)).toBe(false);
  other.add(item);
  expect(one.delete(item)).toBe(false);
  expect(names(other)).toEqual(["a"]);
});

test("what is put in twice is there once, at its first place", () => {
  const set = new LinkedSet<Item>();
  const [a, b]: [Item, Item] = [{ name: "a" }, { name: "b" }];
  for (const item of [a, b, a]) set.add(item);
  expect(names(set)).toEqual(["a", "b"]);
  set.delete(a);
  expect(names(set)).toEqual(["b"]);
});
