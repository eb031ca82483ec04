import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { ProcessGate } from "../../../src/endpoint/process-gate.js";
import { settled } from "../../support/until.js";

const never = new AbortController().signal;

function enter(gate: ProcessGate, alone: boolean, cut: AbortSignal = never): { inside: boolean | undefined } {
  const who: { inside: boolean | undefined } = { inside: undefined };
  void gate.enter(alone, cut).then((inside) => {
    who.inside = inside;
  });
  return who;
}

describe("the gate of the process", () => {
  test("lets any number in together", () => {
    const gate = new ProcessGate();
    expect([gate.tryEnter(), gate.tryEnter(), gate.tryEnter()]).toEqual([true, true, true]);
  });

  test("lets who goes alone in when all others have left, and nobody else meanwhile", async () => {
    const gate = new ProcessGate();
    gate.tryEnter();
    gate.tryEnter();
    const alone = enter(gate, true);
    gate.leave();
    await settled(1);
    expect(alone.inside).toBeUndefined();
    gate.leave();
    await settled(1);
    expect(alone.inside).toBe(true);
    expect(gate.tryEnter()).toBe(false);
    const next = enter(gate, false);
    await settled(1);
    expect(next.inside).toBeUndefined();
    gate.leave();
    await settled(1);
    expect(next.inside).toBe(true);
    expect(gate.tryEnter()).toBe(true);
  });

  test("starves nobody: neither does a stream of others keep out who goes alone, nor one alone after the other the others", async () => {
    const gate = new ProcessGate();
    gate.tryEnter();
    const alone = enter(gate, true);
    expect(gate.tryEnter()).toBe(false);
    const other = enter(gate, false);
    const secondAlone = enter(gate, true);
    gate.leave();
    await settled(1);
    expect([alone.inside, other.inside, secondAlone.inside]).toEqual([true, undefined, undefined]);
    gate.leave();
    await settled(1);
    expect([other.inside, secondAlone.inside]).toEqual([true, undefined]);
    gate.leave();
    await settled(1);
    expect(secondAlone.inside).toBe(true);
  });

  test("those who wait between two that go alone enter together", async () => {
    const gate = new ProcessGate();
    await gate.enter(true, never);
    const others = [enter(gate, false), enter(gate, false), enter(gate, false)];
    const alone = enter(gate, true);
    gate.leave();
    await settled(1);
    expect([...others.map(({ inside }) => inside), alone.inside]).toEqual([true, true, true, undefined]);
  });

  test("sends away who waits for nothing any more, and lets in whom he kept out", async () => {
    const gate = new ProcessGate();
    gate.tryEnter();
    const cut = new AbortController();
    const alone = enter(gate, true, cut.signal);
    const other = enter(gate, false);
    await settled(1);
    expect([alone.inside, other.inside]).toEqual([undefined, undefined]);
    cut.abort();
    await settled(1);
    expect([alone.inside, other.inside]).toEqual([false, true]);
    expect(gate.tryEnter()).toBe(true);
    expect(await gate.enter(true, cut.signal)).toBe(false);
    expect(gate.tryEnter()).toBe(true);
  });

  test("leaves no listener behind with those it lets in", async () => {
    const gate = new ProcessGate();
    const { signal } = new AbortController();
    await gate.enter(true, signal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
