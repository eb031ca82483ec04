import type { History, MessageHistory, Run, Sending } from "./history.js";
import type { FaultEvent } from "./ledger-event.js";

/** A delivery that was settled too late to count is lost with what happens to its process within this time after the handler has ended. */
const SETTLING_MS = 30_000;
/** @default of `aftermathMs`: a process may still run what it got before the fault, some time after the fault is over */
export const AFTERMATH_MS = 10_000;

/** A run for which the message had already been delivered to somebody. */
export interface Repeat {
  readonly id: string;
  readonly endpoint: string;
  readonly run: Run;
  /** The fault that explains it (P2), "copy" when the message was sent twice and two instances got one each, else nothing explains it. */
  readonly because: FaultEvent | "copy" | undefined;
}

export interface Repeats {
  readonly all: readonly Repeat[];
  /** Those that nothing explains, and those beyond what their faults may cause. */
  readonly unexplained: readonly Repeat[];
  /** How much P2 allows in all, for the faults of this run. */
  readonly bound: number;
}

/**
 * Extra runs, each of which must be explained (P2): by a fault that hit the process of an earlier run before its delivery can have been
 * settled; by a fault that hit the process of the extra run while it held the delivery unrun (frozen or cut off, it runs what it holds before
 * it hears that somebody else got it meanwhile); or by one that hit a publisher while it was sending the message. No more for each fault than
 * it may cause. Or by a copy that was sent on purpose and reached another instance. Retries of a failed handler are not extra runs: they
 * have other attempt numbers.
 */
export function findRepeats(history: History, aftermathMs: number = AFTERMATH_MS): Repeats {
  const budget = new Budget(history.faults, aftermathMs);
  const all: Repeat[] = [];
  const copiesUsed = new Map<string, number>();
  const extra = [...history.messages.values()].flatMap(extraRuns).sort((a, b) => a.run.startedAt - b.run.startedAt);
  for (const { message, run, earlier } of extra) {
    const copies = message.sendings.filter((sending) => sending.outcome !== "refused").length - 1;
    const used = copiesUsed.get(`${run.endpoint} ${message.id}`) ?? 0;
    const because = used < copies && !isRemembered(message, run) ? "copy" : budget.explain(run, earlier, message.sendings);
    if (because === "copy") copiesUsed.set(`${run.endpoint} ${message.id}`, used + 1);
    all.push({ id: message.id, endpoint: run.endpoint, run, because });
  }
  return { all, unexplained: all.filter((repeat) => repeat.because === undefined), bound: budget.total };
}

/** One instance knows what it is handling and what it has handled; what it failed at it has to run again. A copy explains nothing there. */
function isRemembered(message: MessageHistory, run: Run): boolean {
  return message.runs.some(
    (other) =>
      other.pid === run.pid &&
      other.endpoint === run.endpoint &&
      other.startedAt < run.startedAt &&
      !(other.result === "failed" && other.endedAt <= run.startedAt),
  );
}

interface ExtraRun {
  readonly message: MessageHistory;
  readonly run: Run;
  readonly earlier: readonly Run[];
}

/**
 * The runs of a message at an endpoint for which an attempt number came again. A redelivery runs attempts 1, 2, 3 again when the first
 * delivery had got so far: that is one repeat, not three, so only the attempt number that came most often is looked at.
 */
function extraRuns(message: MessageHistory): ExtraRun[] {
  if (message.runs.length < 2) return [];
  const found: ExtraRun[] = [];
  for (const endpoint of new Set(message.runs.map((run) => run.endpoint))) {
    const byAttempt = new Map<number, Run[]>();
    for (const run of message.runs.filter((r) => r.endpoint === endpoint).sort((a, b) => a.startedAt - b.startedAt)) {
      byAttempt.set(run.attempt, [...(byAttempt.get(run.attempt) ?? []), run]);
    }
    let most: Run[] = [];
    for (const runs of byAttempt.values()) if (runs.length > most.length) most = runs;
    for (const [index, run] of most.entries()) if (index > 0) found.push({ message, run, earlier: most.slice(0, index) });
  }
  return found;
}

/** What each fault may still cause at each process that it hit. */
class Budget {
  readonly #faults: readonly FaultEvent[];
  readonly #left = new Map<FaultEvent, Map<string, number>>();
  readonly total: number;

  readonly #aftermathMs: number;

  constructor(faults: readonly FaultEvent[], aftermathMs: number) {
    this.#aftermathMs = aftermathMs;
    this.#faults = [...faults].sort((a, b) => a.until - b.until);
    let total = 0;
    for (const fault of faults) {
      const left = new Map<string, number>();
      for (const hit of fault.hits) {
        left.set(hit.process, (left.get(hit.process) ?? 0) + hit.repeats);
        total += hit.repeats;
      }
      this.#left.set(fault, left);
    }
    this.total = total;
  }

  explain(run: Run, earlier: readonly Run[], sendings: readonly Sending[]): FaultEvent | undefined {
    for (const fault of this.#faults) {
      for (const other of earlier) if (lostWith(other, fault, run, this.#aftermathMs) && this.#spend(fault, other.process)) return fault;
      if (heldThrough(run, fault, earlier) && this.#spend(fault, run.process)) return fault;
      for (const sending of sendings) if (resentAfter(sending, fault) && this.#spend(fault, sending.process)) return fault;
    }
    return undefined;
  }

  #spend(fault: FaultEvent, process: string): boolean {
    const left = this.#left.get(fault);
    const rest = left?.get(process) ?? 0;
    if (!left || rest === 0) return false;
    left.set(process, rest - 1);
    return true;
  }
}

function lostWith(earlier: Run, fault: FaultEvent, rerun: Run, aftermathMs: number): boolean {
  return fault.until + aftermathMs >= earlier.startedAt && fault.from <= Math.min(rerun.startedAt, earlier.endedAt + SETTLING_MS);
}

/** Whether its own process can have held this delivery when the fault began, and have heard only after it that somebody else got it meanwhile. */
function heldThrough(rerun: Run, fault: FaultEvent, earlier: readonly Run[]): boolean {
  const isInAftermath = fault.from <= rerun.startedAt && rerun.startedAt <= fault.until + AFTERMATH_MS;
  return isInAftermath && earlier.some((other) => fault.from <= other.startedAt);
}

function resentAfter(sending: Sending, fault: FaultEvent): boolean {
  return fault.until >= sending.at && fault.from <= sending.endedAt;
}
