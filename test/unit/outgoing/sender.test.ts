import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { OutgoingMessage, SendResult } from "../../../src/contracts/transport.js";
import { PublishError } from "../../../src/index.js";
import { PendingBudget } from "../../../src/outgoing/pending-budget.js";
import { Sender, type SendTarget } from "../../../src/outgoing/sender.js";
import { HeldSend, refused, SENT, transportError, unknown } from "../../support/scripted-transport.js";
import { settled } from "../../support/until.js";

const TIMEOUT_MS = 30_000;
/** Publishes that began within one of these share a timer. */
const SLICE_MS = 1000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount(), "a timer was left behind").toBe(0);
  vi.useRealTimers();
});

/** The connection, as the test wants it. */
class Target implements SendTarget {
  readonly held: HeldSend[] = [];
  prepared: (message: OutgoingMessage) => Promise<void> | undefined = () => undefined;
  answer: ((messages: readonly OutgoingMessage[]) => readonly SendResult[]) | undefined;

  prepare(message: OutgoingMessage): Promise<void> | undefined {
    return this.prepared(message);
  }

  send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]> {
    const one = new HeldSend(messages, signal);
    this.held.push(one);
    if (this.answer) one.answer(...this.answer(messages));
    return one.results;
  }

  /** The ids of each call, in order. */
  get calls(): string[] {
    return this.held.map(({ messages }) => messages.map(({ properties }) => properties.messageId).join());
  }
}

function message(messageId: string, partitionKey?: string): OutgoingMessage {
  const properties = { messageId, messageType: "shop.placed", contentType: "text/plain", correlationId: messageId, partitionKey };
  return { to: { event: "shop.placed" }, body: new Uint8Array(), properties, headers: {} };
}

function sender(): { target: Target; sender: Sender; budget: PendingBudget; send: (id: string, signal?: AbortSignal) => Sent } {
  const target = new Target();
  const budget = new PendingBudget(10_000);
  const made = new Sender(target, TIMEOUT_MS);
  return {
    target,
    sender: made,
    budget,
    send: (id, signal) => {
      budget.take();
      return new Sent(made.send(message(id), budget, signal));
    },
  };
}

/** What became of one publish. */
class Sent {
  state: "waiting" | "sent" | PublishError = "waiting";
  constructor(promise: Promise<void>) {
    promise.then(
      () => {
        this.state = "sent";
      },
      (error: PublishError) => {
        this.state = error;
      },
    );
  }
  get outcome(): string {
    return this.state instanceof PublishError ? this.state.outcome : this.state;
  }
  get error(): PublishError {
    if (!(this.state instanceof PublishError)) throw new Error(`it is ${this.state}`);
    return this.state;
  }
}

const pass = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const overTime = TIMEOUT_MS + SLICE_MS;

describe("one message", () => {
  test("resolves when the broker has it, not before", async () => {
    const { target, send, budget } = sender();
    const sent = send("a");
    await pass();
    expect([sent.outcome, budget.used]).toEqual(["waiting", 1]);
    target.held[0]?.answer(SENT);
    await pass();
    expect([sent.outcome, budget.used]).toEqual(["sent", 0]);
    await pass(overTime);
  });

  test.each([
    ["refused", refused()],
    ["unknown", unknown()],
  ])("that is %s for a while is sent again with the same id, and resolves in the end", async (_, trouble) => {
    const { target, send } = sender();
    const answers = [trouble, trouble, SENT];
    target.answer = () => [answers.shift() ?? SENT];
    const sent = send("a");
    await pass(5000);
    expect(sent.outcome).toBe("sent");
    expect(target.calls).toEqual(["a", "a", "a"]);
    await pass(overTime);
  });

  test("waits longer between tries the longer the trouble lasts, at most a second", async () => {
    const { target, send } = sender();
    target.answer = () => [refused()];
    send("a");
    await pass(150);
    expect(target.held.length).toBeGreaterThanOrEqual(2);
    await pass(overTime);
    const tries = target.held.length;
    expect(tries).toBeGreaterThan(30);
    expect(tries).toBeLessThan(75);
  });

  test("that the broker refuses for good is told at once", async () => {
    const { target, send, budget } = sender();
    target.answer = () => [refused("unroutable", false)];
    const sent = send("a");
    await pass();
    expect(sent.error).toMatchObject({ code: "unroutable", outcome: "refused", retryable: false, messageId: "a" });
    expect(sent.error.cause).toMatchObject({ code: "unroutable" });
    expect(target.calls).toEqual(["a"]);
    expect(budget.used).toBe(0);
    await pass(overTime);
  });

  test("that never gets through is given up on when the publish timeout is over, and not before", async () => {
    const { target, send, budget } = sender();
    target.answer = () => [refused()];
    const sent = send("a");
    await pass(TIMEOUT_MS - 1);
    expect(sent.outcome).toBe("waiting");
    await pass(SLICE_MS + 1);
    expect(sent.error).toMatchObject({ code: "unavailable", outcome: "refused", retryable: true, messageId: "a" });
    expect(sent.error.message).toContain("scripted: unavailable");
    expect(sent.error.message).toContain("certainly not stored");
    expect(budget.used).toBe(0);
  });
});

describe("the outcome is true in every order of events:", () => {
  const orders: [text: string, results: SendResult[], outcome: string][] = [
    ["refused, then refused for good", [refused(), refused("refused", false)], "refused"],
    ["unknown, then refused for good", [unknown(), refused("unroutable", false)], "unknown"],
    ["refused, then unknown for good", [refused(), unknown("refused", false)], "unknown"],
    ["refused, unknown, then refused until the time is up", [refused(), unknown(), refused()], "unknown"],
    ["refused until the time is up", [refused()], "refused"],
    ["unknown, then sent", [unknown(), SENT], "sent"],
  ];
  test.each(orders)("%s", async (_, results, outcome) => {
    const { target, send } = sender();
    target.answer = () => [(results.length > 1 ? results.shift() : results[0]) ?? SENT];
    const sent = send("a");
    await pass(overTime);
    expect(sent.outcome).toBe(outcome);
  });

  test("time is up while it waits for the connection: refused", async () => {
    const { target, send } = sender();
    target.prepared = () => new Promise(() => {});
    const sent = send("a");
    await pass(overTime);
    expect(sent.error).toMatchObject({ code: "timeout", outcome: "refused" });
    expect(target.calls).toEqual([]);
  });

  test("time is up while the transport has it: the signal tells the transport, and its answer counts", async () => {
    const { target, send } = sender();
    const three = ["a", "b", "c"].map((id) => send(id));
    await pass(overTime);
    expect(three.map(({ outcome }) => outcome)).toEqual(["waiting", "waiting", "waiting"]);
    expect(target.held[0]?.signal.aborted).toBe(true);
    target.held[0]?.answer(SENT, refused(), unknown());
    await pass();
    expect(three.map(({ outcome }) => outcome)).toEqual(["sent", "refused", "unknown"]);
    expect(target.held).toHaveLength(1);
    await pass(1000);
  });

  test("a transport that does not answer its signal is not waited for for ever: unknown", async () => {
    const { target, send, sender: made, budget } = sender();
    const sent = send("a");
    await pass(overTime + 1000);
    expect(sent.error).toMatchObject({ outcome: "unknown", code: "timeout" });
    await made.whenIdle();
    target.held[0]?.answer(SENT);
    await pass();
    expect(budget.used).toBe(0);
  });

  test("a transport that throws, or leaves answers out, is answered for with unknown, and the message is sent again", async () => {
    const { target, send } = sender();
    const lame = vi.spyOn(target, "send");
    lame.mockRejectedValueOnce(new Error("a defect")).mockResolvedValueOnce([]);
    const sent = send("a");
    await pass(500);
    target.held[0]?.answer(refused("unroutable", false));
    await pass();
    expect(sent.outcome).toBe("unknown");
    expect(lame).toHaveBeenCalledTimes(3);
    await pass(overTime);
  });
});

describe("the caller's signal", () => {
  test("ends the waiting before the message is handed over: refused, and it is never sent", async () => {
    const { target, send, budget } = sender();
    let connected: (() => void) | undefined;
    target.prepared = () => new Promise((resolve) => (connected = resolve));
    const caller = new AbortController();
    const sent = send("a", caller.signal);
    await pass();
    caller.abort();
    await pass();
    expect(sent.error).toMatchObject({ code: "timeout", outcome: "refused", retryable: true });
    target.prepared = () => undefined;
    connected?.();
    await pass(overTime);
    expect(target.calls).toEqual([]);
    expect(budget.used).toBe(0);
  });

  test("after that: unknown, and what the transport says then changes nothing", async () => {
    const { target, send, budget } = sender();
    const caller = new AbortController();
    const sent = send("a", caller.signal);
    await pass();
    caller.abort();
    await pass();
    expect(sent.error).toMatchObject({ outcome: "unknown" });
    target.held[0]?.answer(SENT);
    await pass(overTime);
    expect(budget.used).toBe(0);
  });

  test("between two tries: unknown when one of those before may have stored it", async () => {
    for (const [before, outcome] of [
      [unknown(), "unknown"],
      [refused(), "refused"],
    ] as const) {
      const { target, send } = sender();
      target.answer = () => [before];
      const caller = new AbortController();
      const sent = send("a", caller.signal);
      await pass();
      caller.abort();
      await pass();
      expect(sent.outcome).toBe(outcome);
      await pass(overTime);
    }
  });

  test("may be shared by many: nobody warns of a leak", async () => {
    const warnings: unknown[] = [];
    const listen = (warning: unknown): void => void warnings.push(warning);
    process.on("warning", listen);
    const { target, send } = sender();
    const { signal } = new AbortController();
    for (let i = 0; i < 50; i++) send(`${i}`, signal);
    await pass();
    target.held[0]?.answer(SENT);
    await pass(overTime);
    vi.useRealTimers();
    await settled();
    process.off("warning", listen);
    vi.useFakeTimers();
    expect(warnings).toEqual([]);
  });

  test("is let go of when the message is settled", async () => {
    const { target, send } = sender();
    target.answer = () => [SENT];
    const { signal } = new AbortController();
    send("a", signal);
    await pass();
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await pass(overTime);
  });
});

describe("batches", () => {
  test("what leaves in one turn goes in one call, in its order", async () => {
    const { target, send } = sender();
    for (const id of ["a", "b", "c"]) send(id);
    await pass();
    send("d");
    await pass();
    expect(target.calls).toEqual(["a,b,c", "d"]);
    for (const held of target.held) held.answer(SENT);
    await pass(overTime);
  });

  test("have at most 50 messages, so that some are answered while others are on their way", async () => {
    const { target, send } = sender();
    for (let i = 0; i < 125; i++) send(`${i}`);
    await pass();
    expect(target.held.map(({ messages }) => messages.length)).toEqual([50, 50, 25]);
    for (const held of target.held) held.answer(SENT);
    await pass(overTime);
  });

  test("have all of one key, however many, so that none overtakes one of them that was refused", async () => {
    const { target, sender: made, budget } = sender();
    const keys = (i: number): string | undefined => (i % 2 === 0 ? "one" : i % 5 === 0 ? "other" : undefined);
    for (let i = 0; i < 200; i++) {
      budget.take();
      void made.send(message(`${i}`, keys(i)), budget);
    }
    await pass();
    for (const key of ["one", "other"]) {
      const having = target.held.filter(({ messages }) => messages.some(({ properties }) => properties.partitionKey === key));
      expect(having).toHaveLength(1);
      const ids = having.flatMap(({ messages }) => messages).filter(({ properties }) => properties.partitionKey === key);
      expect(ids.map(({ properties }) => Number(properties.messageId))).toEqual(
        Array.from({ length: 200 }, (_, i) => i).filter((i) => keys(i) === key),
      );
    }
    expect(target.held.length).toBeGreaterThan(1);
    expect(target.held.flatMap(({ messages }) => messages)).toHaveLength(200);
    for (const held of target.held) held.answer(SENT);
    await pass(overTime);
  });

  test("go without those whose road is not clear yet; these follow", async () => {
    const { target, send } = sender();
    let clear: (() => void) | undefined;
    const obstacle = new Promise<void>((resolve) => (clear = resolve));
    target.prepared = ({ properties }) => (properties.messageId === "b" && clear ? obstacle : undefined);
    for (const id of ["a", "b", "c"]) send(id);
    await pass();
    expect(target.calls).toEqual(["a,c"]);
    clear?.();
    clear = undefined;
    await pass();
    expect(target.calls).toEqual(["a,c", "b"]);
    for (const held of target.held) held.answer(SENT);
    await pass(overTime);
  });

  test("are told to hurry by the first whose time is up: the others are sent again, and nobody waits longer than his time", async () => {
    const { target, send } = sender();
    target.answer = () => [refused()];
    const old = send("old");
    await pass(TIMEOUT_MS - 3000);
    const young = send("young");
    await pass(1500);
    target.answer = undefined;
    await pass(1100);
    const call = target.held.at(-1);
    expect(call?.messages.map(({ properties }) => properties.messageId).sort()).toEqual(["old", "young"]);
    await pass(SLICE_MS + 500);
    expect(call?.signal.aborted).toBe(true);
    call?.answer(unknown());
    await pass();
    expect([old.outcome, young.outcome]).toEqual(["unknown", "waiting"]);
    target.answer = () => [SENT];
    await pass(2000);
    expect(young.outcome).toBe("sent");
    await pass(overTime);
  });
});

test("a batch is told to hurry by whose time is up first, wherever that one stands in it", async () => {
  const { target, send } = sender();
  let clear: (() => void) | undefined;
  const obstacle = new Promise<void>((resolve) => (clear = resolve));
  target.prepared = ({ properties }) => (properties.messageId === "old" && clear ? obstacle : undefined);
  const old = send("old");
  await pass(TIMEOUT_MS - 3000);
  clear?.();
  clear = undefined;
  const young = send("young");
  await pass();
  expect(target.calls).toEqual(["young,old"]);
  await pass(3000 + SLICE_MS);
  expect(target.held[0]?.signal.aborted).toBe(true);
  target.held[0]?.answer(unknown());
  await pass();
  expect([old.outcome, young.outcome]).toEqual(["unknown", "waiting"]);
  target.answer = () => [SENT];
  await pass(overTime);
  expect(young.outcome).toBe("sent");
});

describe("several in order", () => {
  test("of one key the next is sent only after the one before was confirmed: a second try is never overtaken", async () => {
    const { target, sender: made } = sender();
    const sending = made.sendInOrder([message("a1", "a"), message("b1", "b"), message("a2", "a"), message("free"), message("a3", "a")]);
    await pass();
    expect(target.calls).toEqual(["a1,b1,free"]);
    target.held[0]?.answer(refused(), SENT, SENT);
    await pass(100);
    expect(target.calls).toEqual(["a1,b1,free", "a1"]);
    target.held[1]?.answer(SENT);
    await pass();
    expect(target.calls).toEqual(["a1,b1,free", "a1", "a2"]);
    target.held[2]?.answer(SENT);
    await pass();
    target.held[3]?.answer(SENT);
    expect(await sending).toEqual([undefined, undefined, undefined, undefined, undefined]);
    await pass(overTime);
  });

  test("what follows a failed one of its key is not sent, and shares its failure; other keys go on", async () => {
    const { target, sender: made } = sender();
    target.answer = (messages) => messages.map(({ properties }) => (properties.messageId === "a1" ? refused("unroutable", false) : SENT));
    const outcomes = await made.sendInOrder([message("a1", "a"), message("a2", "a"), message("b1", "b")]);
    expect(outcomes.map((outcome) => outcome?.code)).toEqual(["unroutable", "unroutable", undefined]);
    expect(target.calls).toEqual(["a1,b1"]);
    await pass(overTime);
  });
});

describe("the end", () => {
  test("whenIdle resolves when nothing is outstanding", async () => {
    const { target, send, sender: made } = sender();
    await made.whenIdle();
    const [first, second] = [send("a"), send("b")];
    let idle = false;
    void made.whenIdle().then(() => {
      idle = true;
    });
    await pass();
    target.held[0]?.answer(SENT, refused("refused", false));
    await pass();
    expect([first.outcome, second.outcome, idle]).toEqual(["sent", "refused", true]);
    await pass(overTime);
  });

  test("giveUp answers every caller now, with the truth", async () => {
    const { target, send, sender: made } = sender();
    const handedOver = send("a");
    await pass();
    target.prepared = () => new Promise(() => {});
    const waiting = send("b");
    await pass(SLICE_MS);
    const later = send("c");
    await pass();
    made.giveUp();
    await pass();
    expect([waiting.outcome, later.outcome]).toEqual(["refused", "refused"]);
    target.held[0]?.answer(unknown());
    await pass();
    expect(handedOver.outcome).toBe("unknown");
    await made.whenIdle();
    await pass(1000);
  });
});

test("what stands in the way of a message is tried again until the time is up, unless it is for good", async () => {
  const { target, send } = sender();
  let tries = 0;
  target.prepared = () => (++tries < 3 ? Promise.reject(transportError("unavailable")) : undefined);
  target.answer = () => [SENT];
  const sent = send("a");
  await pass(1000);
  expect(sent.outcome).toBe("sent");
  target.prepared = () => Promise.reject(transportError("topology", false));
  const doomed = send("b");
  await pass();
  expect(doomed.error).toMatchObject({ code: "topology", outcome: "refused" });
  target.prepared = () => Promise.reject("no error at all");
  const strange = send("c");
  await pass(overTime);
  expect(strange.error).toMatchObject({ code: "unavailable", outcome: "refused" });
});
