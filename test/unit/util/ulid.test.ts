import { decodeTime, isValid } from "ulid";
import { afterEach, expect, test, vi } from "vitest";

/** The module as another process would load it: with a pool and a last id of its own. */
async function freshProcess(): Promise<() => string> {
  vi.resetModules();
  return (await import("../../../src/util/ulid.js")).newUlid;
}

afterEach(() => vi.restoreAllMocks());

test("an id is a valid ULID of the present time", async () => {
  const newUlid = await freshProcess();
  const before = Date.now();
  const id = newUlid();
  expect(isValid(id)).toBe(true);
  expect(decodeTime(id)).toBeGreaterThanOrEqual(before);
  expect(decodeTime(id)).toBeLessThanOrEqual(Date.now());
});

test("100,000 ids made one after the other differ and sort in the order in which they were made", async () => {
  const newUlid = await freshProcess();
  const ids = Array.from({ length: 100_000 }, newUlid);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
});

test("ids stay unique and sorted when the clock is set back", async () => {
  const newUlid = await freshProcess();
  const clock = vi.spyOn(Date, "now").mockReturnValue(1_700_000_000_000);
  const before = newUlid();
  clock.mockReturnValue(1_600_000_000_000);
  const after = newUlid();
  expect(after > before).toBe(true);
});

test("processes that make an id in the same millisecond make different ones", async () => {
  vi.spyOn(Date, "now").mockReturnValue(1_700_000_000_000);
  const ids = new Set<string>();
  for (let i = 0; i < 20; i++) ids.add((await freshProcess())());
  expect(ids.size).toBe(20);
});

test("the random part uses all of the alphabet at every place, also after the pool was filled anew", async () => {
  const newUlid = await freshProcess();
  let now = 1_700_000_000_000;
  vi.spyOn(Date, "now").mockImplementation(() => now++);
  const seen = Array.from({ length: 16 }, () => new Set<string>());
  for (let i = 0; i < 2000; i++) {
    const id = newUlid();
    seen.forEach((characters, place) => {
      characters.add(id.charAt(10 + place));
    });
  }
  // That one of 32 characters is not met at one of 16 places in 2,000 draws has a chance below 10^-24.
  expect(seen.map((characters) => characters.size)).toEqual(Array.from({ length: 16 }, () => 32));
});
