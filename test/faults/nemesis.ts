import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import type { Random } from "../support/random.js";
import type { FaultKind, Injected, Scene } from "./kinds/fault-kind.js";
import { machineTime } from "./ledger.js";
import type { LedgerEntry } from "./ledger-event.js";
import type { SupervisedService, Supervisor } from "./supervisor.js";

/** How often two faults that can come together do. */
const COMBINED = 0.3;

interface ScheduledFault {
  /** Its place in the schedule, from 1. */
  readonly fault: number;
  readonly kind: FaultKind;
}

export interface NemesisOptions {
  readonly kinds: readonly FaultKind[];
  readonly faults: number;
  readonly random: Random;
  /** Aborts when the run is interrupted. */
  readonly signal: AbortSignal;
  /** Who has not got on again so long after a fault is in trouble. */
  readonly recoveryLimitMs: number;
  /** Who has not got on again is killed, as a liveness probe would, so that later faults find it at work. Ours has to come through by itself. */
  readonly killLaggards: boolean;
  readonly scene: Scene;
  readonly note: (entry: LedgerEntry) => void;
  readonly say: (line: string) => void;
}

/** Breaks one thing after the other, by the seed's schedule, and sees that the services get on again after each. */
export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #recoveriesMs: number[] = [];

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** How long after the end of each fault it took until every service had got on, sorted. */
  get recoveriesMs(): readonly number[] {
    return [...this.#recoveriesMs].sort((a, b) => a - b);
  }

  async run(): Promise<void> {
    const { faults, random, scene } = this.#options;
    const schedule = this.#schedule(faults);
    for (let next = 0; next < schedule.length; ) {
      await scene.wait(random.integer(300, 2_000));
      const together = schedule.slice(next, next + (areCombinable(schedule[next], schedule[next + 1]) && random.chance(COMBINED) ? 2 : 1));
      await this.#faultsAtOnce(together.map((kind, i) => ({ fault: next + 1 + i, kind })));
      next += together.length;
    }
  }

  /** Each kind comes before any comes again, so that a short run too has all; then by weight. */
  #schedule(faults: number): readonly FaultKind[] {
    const { kinds, random } = this.#options;
    const schedule: FaultKind[] = [];
    for (const rest = [...kinds]; rest.length > 0; ) {
      schedule.push(...rest.splice(random.integer(0, rest.length - 1), 1));
    }
    while (schedule.length < faults) schedule.push(random.pickWeighted(kinds, (kind) => kind.weight));
    return schedule.slice(0, faults);
  }

  async #faultsAtOnce(together: readonly ScheduledFault[]): Promise<void> {
    const { say } = this.#options;
    const done = await Promise.all(together.map((each) => this.#fault(each)));
    const recoveredAfter = await this.#recovery(together);
    for (const [i, { tookMs, text }] of done.entries()) {
      const fault = String(together[i]?.fault).padStart(4);
      const recovery = i === done.length - 1 ? `, on again after ${(recoveredAfter / 1_000).toFixed(1)} s` : ", and with it:        ";
      say(`${fault}  ${(tookMs / 1_000).toFixed(1).padStart(5)} s${recovery}  ${text}`);
    }
  }

  async #fault({ fault, kind: { kind, inject } }: ScheduledFault): Promise<{ readonly tookMs: number; readonly text: string }> {
    const { note, scene, signal } = this.#options;
    const from = machineTime();
    let injected: Injected;
    try {
      injected = await inject(scene);
    } catch (error) {
      signal.throwIfAborted();
      note({ event: "trouble", text: `fault ${fault}, ${kind}, could not be made or mended: ${inspect(error)}` });
      injected = { hits: [], detail: "FAILED" };
    }
    const until = machineTime();
    note({ event: "fault", fault, kind, from, until, ...injected });
    return { tookMs: until - from, text: `${kind}${injected.detail ? `: ${injected.detail}` : ""}` };
  }

  async #recovery(together: readonly ScheduledFault[]): Promise<number> {
    const { killLaggards, note, recoveryLimitMs, scene } = this.#options;
    const begin = performance.now();
    const laggards = await waitForProgress(scene.supervisor, recoveryLimitMs);
    const took = performance.now() - begin;
    this.#recoveriesMs.push(took);
    if (laggards.length > 0) {
      const faults = together.map(({ fault, kind }) => `fault ${fault}, ${kind.kind}`).join(", and ");
      note({
        event: "trouble",
        text: `${recoveryLimitMs} ms after ${faults}: no progress of ${laggards.map(({ name }) => name).join(", ")}`,
      });
      if (killLaggards) await Promise.all(laggards.map((service) => service.kill()));
    }
    return took;
  }
}

/** Two at a time: of different groups, since two of one group would undo each other's mending, and none that needs quiet around it. */
function areCombinable(one: FaultKind | undefined, other: FaultKind | undefined): boolean {
  const mayBe = (kind: FaultKind | undefined): boolean => kind !== undefined && !kind.fullOnly && !kind.alone;
  return mayBe(one) && mayBe(other) && one?.group !== other?.group;
}

/** Resolves with those that did not acknowledge or handle anything, within `limitMs`, since the call. */
async function waitForProgress(supervisor: Supervisor, limitMs: number): Promise<readonly SupervisedService[]> {
  const before = supervisor.services.map((service) => service.progress);
  const deadline = performance.now() + limitMs;
  for (;;) {
    const laggards = supervisor.services.filter((service, i) => service.progress <= (before[i] ?? 0));
    if (laggards.length === 0 || performance.now() > deadline) return laggards;
    await sleep(100);
  }
}
