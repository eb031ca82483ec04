import { describe, expect, test } from "vitest";
import { ProcessGate } from "../../../src/endpoint/process-gate.js";
import { settled } from "../../support/until.js";

function enter(gate: ProcessGate, alone: boolean): { inside: boolean } {
  const who = { inside: false };
  void gate.enter(alone).then(() => {
    who.inside = true;
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
    expect(alone.inside).toBe(false);
    gate.leave();
    await settled(1);
    expect(alone.inside).toBe(true);
    expect(gate.tryEnter()).toBe(false);
    const next = enter(gate, false);
    await settled(1);
    expect(next.inside).toBe(false);
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
    expect([alone.inside, other.inside, secondAlone.inside]).toEqual([true, false, false]);
    gate.leave();
    await settled(1);
    expect([other.inside, secondAlone.inside]).toEqual([true, false]);
    gate.leave();
    await settled(1);
    expect(secondAlone.inside).toBe(true);
  });

  test("those who wait between two that go alone enter together", async () => {
    const gate = new ProcessGate();
    await gate.enter(true);
    const others = [enter(gate, false), enter(gate, false), enter(gate, false)];
    const alone = enter(gate, true);
    gate.leave();
    await settled(1);
    expect([...others.map(({ inside }) => inside), alone.inside]).toEqual([true, true, true, false]);
  });
});
