import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Lease } from "../../../src/contracts/store.js";
import { HandledIds } from "../../../src/deduplication/handled-ids.js";

const MINUTE = 60_000;
let now = 0;

beforeEach(() => {
  now = 1000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

async function mine(ids: HandledIds, messageId: string, windowMs = MINUTE): Promise<Lease> {
  const claim = await ids.claim(messageId, windowMs, 30_000);
  if (claim.state !== "mine") throw new Error(`the claim is ${claim.state}`);
  return claim.lease;
}

async function handle(ids: HandledIds, messageId: string, windowMs = MINUTE): Promise<void> {
  await (await mine(ids, messageId, windowMs)).done([], 0);
}

test("ids that are handled a second time after their window count once towards the cap", async () => {
  const ids = new HandledIds("shipping", 10, () => {});
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 10; i++) await handle(ids, `id-${i}`);
    now += 2 * MINUTE;
    for (let i = 9; i >= 5; i--) await handle(ids, `id-${i}`);
    for (let i = 0; i < 50; i++) {
      await handle(ids, `round-${round}-${i}`);
      expect(ids.size).toBeLessThanOrEqual(10);
    }
    now += 2 * MINUTE;
  }
});

test("an id that is being handled again is not forgotten for its first time, even behind one with a longer window", async () => {
  const ids = new HandledIds("shipping", 2, () => {});
  await handle(ids, "long", 60 * MINUTE);
  await handle(ids, "short", 1000);
  now += 2000;
  const again = await mine(ids, "short");
  await handle(ids, "other");
  await handle(ids, "another");
  expect((await ids.claim("short", MINUTE, 30_000)).state).toBe("busy");
  expect(await again.renew(30_000)).toBe(true);
});

test("ids released or given back leave nothing behind", async () => {
  const ids = new HandledIds("shipping", 10, () => {});
  for (let i = 0; i < 1000; i++) await (await mine(ids, `id-${i}`)).release();
  expect(ids.size).toBe(0);
  await mine(ids, "running");
  await handle(ids, "handled");
  ids.giveBackClaims();
  expect(ids.size).toBe(1);
});

test("200,000 ids through a small cap keep their order and their number", async () => {
  const ids = new HandledIds("shipping", 5000, () => {});
  for (let i = 0; i < 200_000; i++) await handle(ids, `id-${i}`);
  expect(ids.size).toBe(5000);
  expect((await ids.claim("id-195000", MINUTE, 1)).state).toBe("done");
  expect((await ids.claim("id-194999", MINUTE, 1)).state).toBe("mine");
});
