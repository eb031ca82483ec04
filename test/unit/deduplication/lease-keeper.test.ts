import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LeaseKeeper } from "../../../src/deduplication/lease-keeper.js";
import { FakeStore } from "../../support/fake-store.js";
import { RecordingLogger } from "../../support/recording-logger.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function kept(renew: () => Promise<boolean>) {
  const lost: object[] = [];
  const message = {} as never;
  const lease = { transaction: undefined, renew: vi.fn(renew), done: async () => undefined, release: async () => {} };
  return { lost, lease, kept: { lease, message, endpoint: { claimLost: (one: object) => void lost.push(one) } } };
}

test("claims are renewed every third of their lease, all with one timer", async () => {
  const keeper = new LeaseKeeper(new FakeStore(), new RecordingLogger());
  const [a, b] = [kept(async () => true), kept(async () => true)];
  keeper.keep(a.kept);
  keeper.keep(b.kept);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(a.lease.renew.mock.calls).toEqual([[30_000], [30_000]]);
  keeper.forget(a.kept);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([a.lease.renew.mock.calls.length, b.lease.renew.mock.calls.length]).toEqual([2, 3]);
  keeper.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("a claim that is lost is told of once, and renewed no more", async () => {
  const keeper = new LeaseKeeper(new FakeStore(), new RecordingLogger());
  const one = kept(async () => false);
  keeper.keep(one.kept);
  await vi.advanceTimersByTimeAsync(30_000);
  expect([one.lost.length, one.lease.renew.mock.calls.length]).toEqual([1, 1]);
  keeper.close();
});

test("a claim that was given back while it was renewed is not lost", async () => {
  const keeper = new LeaseKeeper(new FakeStore(), new RecordingLogger());
  let answer: ((isHeld: boolean) => void) | undefined;
  const one = kept(() => new Promise((resolve) => (answer = resolve)));
  keeper.keep(one.kept);
  await vi.advanceTimersByTimeAsync(10_000);
  keeper.forget(one.kept);
  answer?.(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(one.lost).toEqual([]);
  keeper.close();
});

test("a renewal that fails is told of, and tried again: the run goes on", async () => {
  const logger = new RecordingLogger();
  const keeper = new LeaseKeeper(new FakeStore(), logger);
  const one = kept(() => Promise.reject(new Error("connection refused")));
  keeper.keep(one.kept);
  await vi.advanceTimersByTimeAsync(20_000);
  expect([one.lost.length, one.lease.renew.mock.calls.length]).toEqual([0, 2]);
  expect(logger.texts("warn").join()).toContain("connection refused");
  keeper.close();
});

test("a renewal that is answered with no yes or no is the store's mistake: it is told of, and the run goes on", async () => {
  const logger = new RecordingLogger();
  const keeper = new LeaseKeeper(new FakeStore(), logger);
  const one = kept(async () => undefined as never);
  keeper.keep(one.kept);
  await vi.advanceTimersByTimeAsync(20_000);
  expect([one.lost.length, one.lease.renew.mock.calls.length]).toEqual([0, 2]);
  expect(logger.texts("warn").join()).toContain('the store "fake" answered renew() with undefined');
  keeper.close();
});
