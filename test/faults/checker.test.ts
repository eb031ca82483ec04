import { describe, expect, it } from "vitest";
import { check, type Findings, holds, problems } from "./checker.js";
import type { LedgerEntry, LedgerEvent } from "./ledger-event.js";
import { verdict } from "./report.js";

/** A history in the making: each call is one event of one process, at a time of its own. */
class Story {
  readonly events: LedgerEvent[] = [];
  readonly #sequences = new Map<string, number>();
  #now = 0;

  wait(ms: number): this {
    this.#now += ms;
    return this;
  }

  get now(): number {
    return this.#now;
  }

  add(process: string, entry: LedgerEntry, pid = Number(/\d+$/.exec(process)?.[0] ?? 0)): this {
    const sequence = this.#sequences.get(process) ?? 0;
    this.#sequences.set(process, sequence + 1);
    this.#now += 1;
    this.events.push({ ...entry, process, pid, at: this.#now, sequence });
    return this;
  }

  attempt(id: string, more: { key?: string; expect?: "handled" | "dead-lettered"; parent?: string; endpoints?: string[] } = {}): this {
    return this.add("publisher", { event: "attempt", id, checksum: `sum-${id}`, expect: "handled", endpoints: ["work"], ...more });
  }

  outcome(id: string, outcome: "acknowledged" | "refused" | "unknown" = "acknowledged"): this {
    return this.add("publisher", { event: "outcome", id, outcome });
  }

  start(id: string, by = "consumer-1", more: { attempt?: number; key?: string; checksum?: string; pid?: number } = {}): this {
    const { pid, ...rest } = more;
    return this.add(by, { event: "started", id, endpoint: "work", attempt: 1, checksum: `sum-${id}`, ...rest }, pid);
  }

  end(id: string, by = "consumer-1", result: "handled" | "failed" = "handled", attempt = 1, pid?: number): this {
    return this.add(by, { event: result, id, endpoint: "work", attempt }, pid);
  }

  run(id: string, by = "consumer-1", more: { key?: string; pid?: number } = {}): this {
    return this.start(id, by, more).end(id, by, "handled", 1, more.pid);
  }

  dead(id: string, reason = "failed"): this {
    return this.add("drain", { event: "dead-lettered", id, endpoint: "work", reason, checksum: `sum-${id}` });
  }

  fault(from: number, until: number, hits: { process: string; repeats: number }[]): this {
    return this.add("nemesis", { event: "fault", fault: 1, kind: "test", from, until, hits });
  }

  /** `count` messages with nothing wrong, around what is. */
  good(count: number, key?: string): this {
    for (let i = 0; i < count; i++) {
      const id = `good-${this.#now}`;
      this.attempt(id, key === undefined ? {} : { key })
        .outcome(id)
        .run(id, "consumer-1", key === undefined ? {} : { key });
    }
    return this;
  }

  check(): Promise<Findings> {
    return check(this.events, { ordered: ["work"] });
  }
}

async function wrongWith(story: Story): Promise<Record<string, number>> {
  const findings = await story.check();
  const found = problems(findings);
  expect(holds(findings)).toBe(found.length === 0);
  expect(verdict(findings, "x").startsWith(found.length === 0 ? "PASS" : "FAIL")).toBe(true);
  return Object.fromEntries(found.map(({ what, count }) => [what, count]));
}

describe("the checker", () => {
  it("finds nothing in a history without fault", async () => {
    expect(await wrongWith(new Story().good(1_000))).toEqual({});
  });

  it("finds one acknowledged message of a thousand that never arrived", async () => {
    const story = new Story().good(500).attempt("m").outcome("m").good(500);
    expect(await wrongWith(story)).toEqual({ lost: 1 });
    expect((await story.check()).lost).toMatchObject([{ id: "m", endpoint: "work" }]);
  });

  it("finds a message that one endpoint got and another one did not", async () => {
    const story = new Story()
      .attempt("m", { endpoints: ["work", "audit"] })
      .outcome("m")
      .run("m");
    expect((await story.check()).lost).toMatchObject([{ id: "m", endpoint: "audit" }]);
  });

  it("takes a run that was cut short and never repeated for a loss", async () => {
    expect(await wrongWith(new Story().attempt("m").outcome("m").start("m"))).toEqual({ lost: 1 });
  });

  it("takes a failed run that was neither retried nor dead-lettered for a loss", async () => {
    expect(await wrongWith(new Story().attempt("m").outcome("m").start("m").end("m", "consumer-1", "failed"))).toEqual({ lost: 1 });
  });

  it("does not call lost what was refused, or whose outcome is unknown", async () => {
    expect(await wrongWith(new Story().attempt("a").outcome("a", "refused").attempt("b").outcome("b", "unknown").attempt("c"))).toEqual({});
  });

  it("calls lost what was acknowledged at the second try", async () => {
    expect(await wrongWith(new Story().attempt("m").outcome("m", "unknown").attempt("m").outcome("m"))).toEqual({ lost: 1 });
  });

  it("calls lost what a handler published and nobody got, once its parent was handled", async () => {
    const story = new Story().attempt("p").outcome("p").start("p");
    story.add("consumer-1", { event: "attempt", id: "child", checksum: "c", expect: "handled", endpoints: ["work"], parent: "p" });
    expect(await wrongWith(story)).toEqual({ lost: 1 });
    expect(await wrongWith(story.end("p"))).toEqual({ lost: 1 });
    expect((await story.check()).lost).toMatchObject([{ id: "child" }]);
  });

  it("counts what was handled though its outcome is unknown as recovered", async () => {
    const story = new Story().attempt("m").outcome("m", "unknown").run("m");
    expect((await story.check()).counts).toMatchObject({ recovered: 1, unknown: 1, handled: 1 });
    expect(await wrongWith(story)).toEqual({});
  });

  it("finds a message that nobody sent", async () => {
    expect(await wrongWith(new Story().good(10).run("ghost"))).toEqual({ unexpected: 1 });
  });

  it("finds a message at an endpoint that it was not sent to", async () => {
    const story = new Story()
      .attempt("m", { endpoints: ["audit"] })
      .outcome("m", "unknown")
      .run("m");
    expect(await wrongWith(story)).toEqual({ unexpected: 1 });
  });

  it("finds one body that changed on the way, also on the way to the dead letters", async () => {
    const handled = new Story().good(10).attempt("m").outcome("m").start("m", "consumer-1", { checksum: "other" }).end("m");
    expect(await wrongWith(handled)).toEqual({ corrupt: 1 });
    const letter = { event: "dead-lettered", id: "m", endpoint: "work", reason: "failed", checksum: "other" } as const;
    const dead = new Story().attempt("m", { expect: "dead-lettered" }).outcome("m").add("drain", letter);
    expect(await wrongWith(dead)).toEqual({ corrupt: 1 });
  });

  it("finds a key that changed on the way", async () => {
    expect(await wrongWith(new Story().attempt("m", { key: "k" }).outcome("m").run("m", "consumer-1", { key: "l" }))).toEqual({
      corrupt: 1,
    });
  });

  it("finds one message that ran again for no reason", async () => {
    expect(await wrongWith(new Story().good(500).attempt("m").outcome("m").run("m").good(10).run("m", "consumer-2"))).toEqual({
      repeats: 1,
    });
  });

  it("takes retries of a failing handler for what they are", async () => {
    const story = new Story().attempt("m").outcome("m");
    for (let attempt = 1; attempt <= 3; attempt++) {
      story.start("m", "consumer-1", { attempt }).end("m", "consumer-1", attempt < 3 ? "failed" : "handled", attempt);
    }
    expect(await wrongWith(story)).toEqual({});
  });

  it("explains a repeat by the fault that hit the instance of the first run", async () => {
    const story = new Story().attempt("m").outcome("m").start("m");
    const from = story.now;
    story.wait(1_000).start("m", "consumer-2").end("m", "consumer-2");
    expect(await wrongWith(story)).toEqual({ repeats: 1 });
    story.fault(from, from + 500, [{ process: "consumer-1", repeats: 1 }]);
    expect(await wrongWith(story)).toEqual({});
  });

  it("does not explain a repeat by a fault that hit somebody else, came after it, or was over before", async () => {
    const repeat = (): Story => new Story().wait(100_000).attempt("m").outcome("m").run("m").wait(1_000).run("m", "consumer-2").wait(1_000);
    const { now } = repeat();
    expect(await wrongWith(repeat().fault(now - 3_000, now, [{ process: "consumer-3", repeats: 9 }]))).toEqual({ repeats: 1 });
    expect(await wrongWith(repeat().fault(now, now + 100, [{ process: "consumer-1", repeats: 9 }]))).toEqual({ repeats: 1 });
    expect(await wrongWith(repeat().fault(0, 1_000, [{ process: "consumer-1", repeats: 9 }]))).toEqual({ repeats: 1 });
  });

  it("explains a repeat by the fault through which its own instance held the message unrun, and by none that began later", async () => {
    const repeat = (): Story => new Story().wait(100_000).attempt("m").outcome("m").wait(1_000).run("m").wait(1_000).run("m", "consumer-2");
    const { now } = repeat();
    expect(await wrongWith(repeat().fault(101_000, now, [{ process: "consumer-2", repeats: 1 }]))).toEqual({});
    expect(await wrongWith(repeat().fault(now - 500, now, [{ process: "consumer-2", repeats: 1 }]))).toEqual({ repeats: 1 });
  });

  it("does not explain a repeat by a fault long after the handler had ended", async () => {
    const story = new Story().attempt("m").outcome("m").run("m").wait(100_000);
    story
      .fault(story.now, story.now + 100, [{ process: "consumer-1", repeats: 9 }])
      .wait(1_000)
      .run("m", "consumer-2");
    expect(await wrongWith(story)).toEqual({ repeats: 1 });
  });

  it("allows a fault no more repeats than the instance held", async () => {
    const story = new Story();
    for (const id of ["a", "b", "c"]) story.attempt(id).outcome(id).start(id);
    const from = story.now;
    story.wait(1_000);
    for (const id of ["a", "b", "c"]) story.run(id, "consumer-2");
    story.fault(from, from + 100, [{ process: "consumer-1", repeats: 2 }]);
    expect(await wrongWith(story)).toEqual({ repeats: 1 });
    expect((await story.check()).repeats.bound).toBe(2);
  });

  it("counts a delivery that ran three attempts again as one repeat", async () => {
    const story = new Story().attempt("m").outcome("m");
    const failing = (by: string): void => {
      for (let attempt = 1; attempt <= 2; attempt++) story.start("m", by, { attempt }).end("m", by, "failed", attempt);
    };
    failing("consumer-1");
    story.start("m", "consumer-1", { attempt: 3 });
    const from = story.now;
    story.wait(100);
    failing("consumer-2");
    story.start("m", "consumer-2", { attempt: 3 }).end("m", "consumer-2", "handled", 3);
    story.fault(from, from + 50, [{ process: "consumer-1", repeats: 1 }]);
    expect(await wrongWith(story)).toEqual({});
  });

  it("explains a repeat by the fault during which its publisher sent it again", async () => {
    const story = new Story().attempt("m").wait(1_000);
    story.outcome("m").run("m").run("m", "consumer-2");
    story.fault(1, 900, [{ process: "publisher", repeats: 1 }]);
    expect(await wrongWith(story)).toEqual({});
  });

  it("allows a copy that was sent on purpose to run at another instance, but not at the same one", async () => {
    const twice = (): Story => new Story().attempt("m").outcome("m").attempt("m").outcome("m").run("m");
    expect(await wrongWith(twice().run("m", "consumer-2"))).toEqual({});
    expect(await wrongWith(twice().run("m"))).toEqual({ repeats: 1, "handled twice by one instance": 1 });
    expect(await wrongWith(twice().run("m", "consumer-1", { pid: 99 }))).toEqual({});
    expect(await wrongWith(twice().run("m", "consumer-2").run("m", "consumer-3"))).toEqual({ repeats: 1 });
  });

  it("finds what one instance handled twice, also when a fault would explain it", async () => {
    const story = new Story().attempt("m").outcome("m").run("m");
    const { now } = story;
    story.fault(now, now + 1, [{ process: "consumer-1", repeats: 9 }]).run("m");
    expect(await wrongWith(story)).toEqual({ "handled twice by one instance": 1 });
  });

  it("allows both copies of a message that always fails to run at one instance, one after the other", async () => {
    const twice = (): Story => new Story().attempt("m", { expect: "dead-lettered" }).outcome("m").attempt("m").outcome("m");
    const run = (story: Story): Story => story.start("m").end("m", "consumer-1", "failed");
    expect(await wrongWith(run(run(twice())).dead("m"))).toEqual({});
    expect(await wrongWith(run(run(run(twice()))).dead("m"))).toEqual({ repeats: 1 });
    const atOnce = twice().start("m").start("m").end("m", "consumer-1", "failed").end("m", "consumer-1", "failed");
    expect(await wrongWith(atOnce.dead("m"))).toEqual({ repeats: 1 });
  });

  it("finds two messages of one key in the wrong order", async () => {
    const story = new Story().good(5, "k").attempt("a", { key: "k" }).outcome("a").attempt("b", { key: "k" }).outcome("b");
    story.run("b", "consumer-1", { key: "k" }).run("a", "consumer-1", { key: "k" });
    expect(await wrongWith(story)).toEqual({ "out of order": 1 });
    expect((await story.check()).outOfOrder).toMatchObject([{ earlier: "a", later: "b", key: "k" }]);
  });

  it("finds that the second of a key was begun while the first was still handled", async () => {
    const story = new Story().attempt("a", { key: "k" }).outcome("a").attempt("b", { key: "k" }).outcome("b");
    story.start("a", "consumer-1", { key: "k" }).start("b", "consumer-2", { key: "k" }).end("a").end("b", "consumer-2");
    expect(await wrongWith(story)).toEqual({ "out of order": 1 });
  });

  it("promises no order to messages of which the second was published before the first was acknowledged", async () => {
    const story = new Story().attempt("a", { key: "k" }).attempt("b", { key: "k" }).outcome("a").outcome("b");
    story.run("b", "consumer-1", { key: "k" }).run("a", "consumer-1", { key: "k" });
    expect(await wrongWith(story)).toEqual({});
  });

  it("does not take a repeat of an earlier message for disorder", async () => {
    const story = new Story().attempt("a", { key: "k" }).outcome("a").attempt("b", { key: "k" }).outcome("b");
    story.run("a", "consumer-1", { key: "k" }).run("b", "consumer-1", { key: "k" });
    const now = story.now;
    story.fault(now, now + 1, [{ process: "consumer-1", repeats: 1 }]).run("a", "consumer-2", { key: "k" });
    expect(await wrongWith(story)).toEqual({});
  });

  it("finds an innocent message among the dead letters, unless it was handled as well", async () => {
    expect(await wrongWith(new Story().attempt("m").outcome("m").dead("m", "crashed"))).toEqual({ misjudged: 1 });
    expect(await wrongWith(new Story().attempt("m").outcome("m").run("m").dead("m", "crashed"))).toEqual({});
  });

  it("finds a message that always fails among what was handled", async () => {
    expect(await wrongWith(new Story().attempt("m", { expect: "dead-lettered" }).outcome("m").run("m"))).toEqual({ misjudged: 1 });
    expect(await wrongWith(new Story().attempt("m", { expect: "dead-lettered" }).outcome("m").dead("m"))).toEqual({});
  });

  it("finds a dead letter with another reason than its own", async () => {
    const attempt = {
      event: "attempt",
      id: "m",
      checksum: "sum-m",
      expect: "dead-lettered",
      reason: "crashed",
      endpoints: ["work"],
    } as const;
    const story = (): Story => new Story().add("publisher", attempt).outcome("m");
    expect(await wrongWith(story().dead("m", "failed"))).toEqual({ misjudged: 1 });
    expect(await wrongWith(story().dead("m", "crashed"))).toEqual({});
  });

  it("finds a refusal that was not true", async () => {
    expect(await wrongWith(new Story().attempt("m").outcome("m", "refused").run("m"))).toEqual({ "false refusals": 1 });
    expect(await wrongWith(new Story().attempt("m").outcome("m", "refused").attempt("m").outcome("m").run("m"))).toEqual({});
  });

  it("finds a queue that is not empty, a process in trouble, and an end without a beginning", async () => {
    const story = new Story().good(1);
    story.add("drain", { event: "depth", queue: "work", messages: 3 }).add("drain", { event: "depth", queue: "other", messages: 0 });
    story.add("consumer-1", { event: "trouble", text: "unhandled rejection" }).end("never-begun");
    expect(await wrongWith(story)).toEqual({ "stuck queues": 1, troubles: 2 });
  });

  it("finds a process that grows by more than 50 MB after the first tenth of the run", async () => {
    const grow = (by: number): Story => {
      const story = new Story();
      for (let i = 0; i <= 100; i++) {
        const early = i < 20 ? 80 : 80 + by;
        story.wait(1_000).add("consumer-1", { event: "memory", megabytes: i < 5 ? 30 : early });
      }
      return story;
    };
    expect(await wrongWith(grow(49))).toEqual({});
    expect(await wrongWith(grow(51))).toEqual({ leaks: 1 });
  });
});
