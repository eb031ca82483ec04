import { describe, expect, test } from "vitest";
import { Lanes } from "../../../src/endpoint/lanes.js";
import { settled } from "../../support/until.js";

describe("lanes", () => {
  test("an empty lane is entered at once, and lanes know nothing of each other", () => {
    const lanes = new Lanes();
    expect([lanes.enter("a"), lanes.enter("b")]).toEqual([undefined, undefined]);
  });

  test("who comes later enters when those before have left, in the order of coming", async () => {
    const lanes = new Lanes();
    const entered: number[] = [];
    lanes.enter("a");
    void lanes.enter("a")?.then(() => entered.push(2));
    void lanes.enter("a")?.then(() => entered.push(3));
    lanes.leave("a");
    await settled(1);
    expect(entered).toEqual([2]);
    lanes.leave("a");
    await settled(1);
    expect(entered).toEqual([2, 3]);
    lanes.leave("a");
    expect(lanes.enter("a")).toBeUndefined();
  });

  test("a key named like a property of every object is a key like any other", () => {
    const lanes = new Lanes();
    expect(lanes.enter("__proto__")).toBeUndefined();
    expect(lanes.enter("__proto__")).toBeInstanceOf(Promise);
  });
});
