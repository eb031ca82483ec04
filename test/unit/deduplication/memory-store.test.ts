import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Claim, Lease, Store, StoreHost } from "../../../src/contracts/store.js";
import { type MemoryStoreOptions, memoryStore } from "../../../src/deduplication/memory-store.js";
import { TrolleybusError } from "../../../src/errors.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

let now = 0;
let warnings: { text: string; fields: object | undefined }[] = [];

beforeEach(() => {
  now = 5000.25;
  warnings = [];
  vi.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

function host(service = "shipping"): StoreHost {
  const logger = { debug() {}, info() {}, warn: (text: string, fields?: object) => void warnings.push({ text, fields }), error() {} };
  return { service, namePrefix: "", logger, status: vi.fn() };
}

async function opened(options?: MemoryStoreOptions): Promise<Store> {
  const store = memoryStore(options);
  await store.open(host(), new AbortController().signal);
  return store;
}

const claim = async (
  store: Store,
  messageId: string,
  changes: { endpoint?: string; windowMs?: number; leaseMs?: number } = {},
): Promise<Claim> =>
  store.claim({ endpoint: "shipping", messageId, windowMs: 30 * MINUTE, leaseMs: 30 * SECOND, runTimeoutMs: 5 * MINUTE, ...changes });

async function mine(...given: Parameters<typeof claim>): Promise<Lease> {
  const answer = await claim(...given);
  if (answer.state !== "mine") throw new Error(`the claim is ${answer.state}`);
  return answer.lease;
}

async function handle(...given: Parameters<typeof claim>): Promise<void> {
  await (await mine(...given)).done([], 0);
}

describe("a message", () => {
  test("is claimed, then busy for others, then done", async () => {
    const store = await opened();
    const lease = await mine(store, "a");
    expect(lease.transaction).toBeUndefined();
    expect(await claim(store, "a")).toEqual({ state: "busy", againInMs: 250 });
    expect(await lease.done([], 0)).toBeUndefined();
    expect(await claim(store, "a")).toEqual({ state: "done", unsent: undefined });
  });

  test("that was released after a failure is claimed anew", async () => {
    const store = await opened();
    await (await mine(store, "a")).release();
    await (await mine(store, "a")).done([], 0);
    expect((await claim(store, "a")).state).toBe("done");
  });

  test("of one endpoint is another at the next endpoint", async () => {
    const store = await opened();
    await handle(store, "a");
    expect((await claim(store, "a", { endpoint: "audit" })).state).toBe("mine");
  });

  test("is never taken for another, whatever its id", async () => {
    const store = await opened();
    for (const id of ["__proto__", "constructor", "toString", "", "a", "A"]) await handle(store, id);
    for (const id of ["__proto__", "constructor", "toString", "", "a", "A"]) expect((await claim(store, id)).state).toBe("done");
    expect((await claim(store, "hasOwnProperty")).state).toBe("mine");
  });
});

describe("a lease", () => {
  test("ends after its time: then another run has the message, and the first is told at its renewal", async () => {
    const store = await opened();
    const first = await mine(store, "a");
    now += 30 * SECOND - 100;
    expect(await claim(store, "a")).toEqual({ state: "busy", againInMs: 100 });
    now += 100;
    const second = await mine(store, "a");
    expect(await first.renew(30 * SECOND)).toBe(false);
    expect(await second.renew(30 * SECOND)).toBe(true);
  });

  test("that is renewed does not end", async () => {
    const store = await opened();
    const lease = await mine(store, "a");
    for (let i = 0; i < 30; i++) {
      now += 10 * SECOND;
      expect(await lease.renew(30 * SECOND)).toBe(true);
      expect((await claim(store, "a")).state).toBe("busy");
    }
  });

  test("that ran out but was taken by nobody can be renewed", async () => {
    const store = await opened();
    const lease = await mine(store, "a");
    now += 5 * MINUTE;
    expect(await lease.renew(30 * SECOND)).toBe(true);
    expect((await claim(store, "a")).state).toBe("busy");
  });

  test("that was lost still records that the message was handled; the run that took over loses its own by that", async () => {
    const store = await opened();
    const first = await mine(store, "a");
    now += MINUTE;
    const second = await mine(store, "a");
    await first.done([], 0);
    expect((await claim(store, "a")).state).toBe("done");
    expect(await second.renew(30 * SECOND)).toBe(false);
    await second.release();
    expect((await claim(store, "a")).state).toBe("done");
  });

  test("that was lost releases nothing of the run that took over", async () => {
    const store = await opened();
    const first = await mine(store, "a");
    now += MINUTE;
    await mine(store, "a");
    await first.release();
    expect((await claim(store, "a")).state).toBe("busy");
  });

  test("that was lost and released by the other records the message as handled", async () => {
    const store = await opened();
    const first = await mine(store, "a");
    now += MINUTE;
    await (await mine(store, "a")).release();
    await first.done([], 0);
    expect((await claim(store, "a")).state).toBe("done");
  });
});

describe("the window", () => {
  test("is counted from the end of the handling, to the millisecond upwards", async () => {
    const store = await opened();
    const lease = await mine(store, "a", { windowMs: MINUTE });
    now += 20 * SECOND;
    await lease.done([], 0);
    now += MINUTE - 0.5;
    expect((await claim(store, "a")).state).toBe("done");
    now += 2;
    expect((await claim(store, "a")).state).toBe("mine");
  });

  test("makes room by itself: with a steady stream no more is held than one window of ids", async () => {
    const store = await opened({ maxIds: 1000 });
    for (let i = 0; i < 20_000; i++) {
      await handle(store, `id-${i}`, { windowMs: MINUTE });
      now += MINUTE / 500;
    }
    expect(warnings).toEqual([]);
    expect((await claim(store, "id-19999")).state).toBe("done");
    expect((await claim(store, "id-19502")).state).toBe("done");
    expect((await claim(store, "id-19490")).state).toBe("mine");
  });

  test("that is over lets the id be claimed, handled and remembered for a new one", async () => {
    const store = await opened();
    for (const id of ["a", "b", "c"]) await handle(store, id, { windowMs: MINUTE });
    now += 2 * MINUTE;
    await handle(store, "b", { windowMs: MINUTE });
    now += 50 * SECOND;
    expect((await claim(store, "b")).state).toBe("done");
    expect((await claim(store, "a")).state).toBe("mine");
    now += 11 * SECOND;
    expect((await claim(store, "b")).state).toBe("mine");
  });
});

describe("the cap", () => {
  test("forgets the oldest handled ids and says so once a minute, with what it means", async () => {
    const store = await opened({ maxIds: 10 });
    for (let i = 0; i < 15; i++) await handle(store, `id-${i}`);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.text).toMatch(/"shipping".*handled again.*maxIds/);
    expect(warnings[0]?.fields).toMatchObject({ endpoint: "shipping", forgottenEarly: 1, maxIds: 10 });
    now += MINUTE;
    await handle(store, "id-15");
    expect(warnings).toHaveLength(2);
    expect(warnings[1]?.fields).toMatchObject({ forgottenEarly: 5 });
    // Asked from the newest on, for each claim of one that is forgotten forgets another.
    const states: string[] = [];
    for (let i = 15; i >= 5; i--) states.push((await claim(store, `id-${i}`)).state);
    expect(states).toEqual([...Array.from({ length: 10 }, () => "done"), "mine"]);
  });

  test("never forgets what is being handled", async () => {
    const store = await opened({ maxIds: 3 });
    const running = await Promise.all(["r1", "r2", "r3", "r4", "r5"].map((id) => mine(store, id)));
    for (let i = 0; i < 20; i++) await handle(store, `id-${i}`);
    for (const id of ["r1", "r2", "r3", "r4", "r5"]) expect((await claim(store, id)).state).toBe("busy");
    for (const lease of running) expect(await lease.renew(30 * SECOND)).toBe(true);
  });

  test("is each endpoint's own", async () => {
    const store = await opened({ maxIds: 2 });
    for (const endpoint of ["e1", "e2", "e3"]) for (const id of ["a", "b"]) await handle(store, id, { endpoint });
    expect(warnings).toEqual([]);
    expect((await claim(store, "a", { endpoint: "e1" })).state).toBe("done");
  });
});

describe("the store", () => {
  test("says what it can do, and keeps no process alive", async () => {
    const timers = vi.spyOn(globalThis, "setInterval");
    const store = await opened();
    expect(store).toMatchObject({ name: "memory", outbox: undefined });
    expect(store.capabilities).toEqual({
      shared: false,
      transactional: false,
      defaultWindowMs: 30 * MINUTE,
      maxClaims: Number.POSITIVE_INFINITY,
    });
    await store.provision("create");
    await handle(store, "a");
    expect(timers).not.toHaveBeenCalled();
  });

  test("belongs to one bus until that has closed it, and remembers what was handled for the next", async () => {
    const store = memoryStore();
    const first = host("shipping");
    const { signal } = new AbortController();
    await store.open(first, signal);
    await store.open(first, signal);
    expect(first.status).toHaveBeenCalledWith("up");
    await handle(store, "a");
    await mine(store, "running");
    await expect(store.open(host("billing"), signal)).rejects.toThrow(TrolleybusError);
    await expect(store.open(host("billing"), signal)).rejects.toThrow('"shipping"');
    await store.close(0);
    await store.open(host("shipping"), signal);
    expect((await claim(store, "a")).state).toBe("done");
    expect((await claim(store, "running")).state).toBe("mine");
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "100", null, 10_000_001])("refuses maxIds %j", (maxIds) => {
    expect(() => memoryStore({ maxIds: maxIds as number })).toThrow(TrolleybusError);
    expect(() => memoryStore({ maxIds: maxIds as number })).toThrow("maxIds");
  });

  test.each([5, 0, false, "", "5", null, [], () => {}])("refuses %j for options", (options) => {
    expect(() => memoryStore(options as never)).toThrow(TrolleybusError);
    expect(() => memoryStore(options as never)).toThrow("they are an object, such as { maxIds");
  });

  test("refuses an option that it does not know, with the one that was meant", () => {
    expect(() => memoryStore({ maxId: 5 } as never)).toThrow('did you mean "maxIds"');
  });
});

describe("over any history", () => {
  test("10,000 random calls agree with a plain reading of the rules", async () => {
    const { Random } = await import("../../support/random.js");
    const random = new Random(99);
    const store = await opened();
    const doneUntil = new Map<string, number>();
    const leases = new Map<string, { lease: Lease; until: number }>();
    const windowMs = 40 * SECOND;
    for (let i = 0; i < 10_000; i++) {
      now += random.integer(0, 2) * SECOND;
      const id = `id-${random.integer(0, 30)}`;
      const held = leases.get(id);
      if (held && held.until > now && random.chance(0.6)) {
        leases.delete(id);
        if (random.chance(0.5)) {
          await held.lease.done([], 0);
          doneUntil.set(id, Math.ceil(now + windowMs));
        } else await held.lease.release();
        continue;
      }
      const answer = await claim(store, id, { windowMs, leaseMs: 5 * SECOND });
      const expected = (doneUntil.get(id) ?? 0) > now ? "done" : held && held.until > now ? "busy" : "mine";
      expect(`${i} ${id} ${answer.state}`).toBe(`${i} ${id} ${expected}`);
      if (answer.state === "mine") leases.set(id, { lease: answer.lease, until: now + 5 * SECOND });
    }
  });
});
