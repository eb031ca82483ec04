import { describe, expect, test } from "vitest";
import { checkedClaim, checkedKept, checkedRenewal, isClaim } from "../../../src/deduplication/store-answer.js";
import { FakeStore } from "../../support/fake-store.js";

const store = new FakeStore();
const lease = { transaction: undefined, renew: async () => true, done: () => undefined, release: async () => {} };
const kept = { messages: [], sent: async () => {} };

describe("a claim", () => {
  test.each([
    { state: "mine", lease },
    { state: "done", unsent: undefined },
    { state: "done" },
    { state: "done", unsent: kept },
    { state: "done", unsent: null },
    { state: "busy", againInMs: 5 },
  ])("is what the port says: %j", (answer) => {
    expect(isClaim(answer)).toBe(true);
    expect(checkedClaim(store, answer)).toBe(answer);
  });

  test.each([
    [undefined, "with undefined; a claim is"],
    [null, "with null; a claim is"],
    ["OK", 'with "OK"; a claim is'],
    [() => {}, "with a function; a claim is"],
    [{}, "with the state undefined"],
    [{ state: "ours" }, 'with the state "ours"'],
    [{ state: "mine" }, 'with the state "mine" and no lease'],
    [{ state: "mine", lease: { ...lease, renew: undefined } }, "no lease that has renew(), done() and release()"],
    [{ state: "done", unsent: "none" }, 'with the state "done" and an unsent that is neither undefined nor'],
    [{ state: "done", unsent: { messages: [] } }, "neither undefined nor { messages, sent }"],
    [{ state: "busy" }, 'with the state "busy" and an againInMs that is no number'],
  ])("is not %j, which is refused with the store's name and what is wrong", (answer, text) => {
    expect(isClaim(answer)).toBe(false);
    expect(() => checkedClaim(store, answer)).toThrow('the store "fake" answered claim() ');
    expect(() => checkedClaim(store, answer)).toThrow(text);
  });

  test("is not a promise for one, which is waited for first", () => {
    expect(isClaim(Promise.resolve({ state: "mine", lease }))).toBe(false);
  });
});

test("done is answered with nothing or with what is to be sent, and with nothing else", () => {
  expect(checkedKept(store, undefined)).toBeUndefined();
  expect(checkedKept(store, null)).toBeUndefined();
  expect(checkedKept(store, kept)).toBe(kept);
  expect(() => checkedKept(store, "OK")).toThrow('the store "fake" answered done() with "OK"; it answers undefined, or');
  expect(() => checkedKept(store, { messages: "none" })).toThrow("with an object that has no messages or no sent()");
});

test("renew is answered with yes or no, and with nothing else", () => {
  expect([checkedRenewal(store, true), checkedRenewal(store, false)]).toEqual([true, false]);
  expect(() => checkedRenewal(store, 1)).toThrow('the store "fake" answered renew() with 1; it answers true, or false');
});
