import type { AloneRun } from "./commit-metadata.js";

/** So many members began to read the partition, and died before its prefix grew: its first records are read one at a time. */
export const CAREFUL_FROM = 2;
/** A record whose run began alone so often, and never ended, is what killed them. */
export const CRASHED_FROM = 3;

/**
 * How often the partition was begun in vain, as it stands in the metadata of its commits. A member that lives takes back what it added when
 * it hands the partition over, so that only what died counts.
 */
export class StartCounts {
  readonly #found: number;
  #alone: AloneRun | undefined;
  #isRunningAlone = false;
  #hasBegun = false;
  #hasProgressed = false;
  #carefulLeft: number;

  /**
   * @param found what the last owner left
   * @param atRisk how many records a member can hold of one partition, so that whatever killed it is among the next so many
   */
  constructor(found: { readonly starts: number; readonly alone: AloneRun | undefined }, atRisk: number) {
    this.#found = found.starts;
    this.#alone = found.alone;
    this.#carefulLeft = found.starts >= CAREFUL_FROM ? atRisk : 0;
  }

  /** Whether records are to be run alone, one at a time. */
  get isCareful(): boolean {
    return this.#carefulLeft > 0;
  }

  /** A member begins to read; it may read when this is committed. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** The prefix grew: whoever dies now dies of something else. In careful mode only when all that was at risk is behind. */
  progressed(): void {
    if (!this.isCareful) this.#hasProgressed = true;
  }

  /** Nothing that was at risk is left. */
  endCareful(): void {
    this.#carefulLeft = 0;
    this.#hasProgressed = true;
  }

  /** How many runs of this record began alone and never ended. */
  runsOf(offset: number): number {
    return this.#alone?.offset === offset ? this.#alone.runs : 0;
  }

  /** The record is about to run alone; it may when this is committed. */
  beginAlone(offset: number): void {
    this.#alone = { offset, runs: this.runsOf(offset) + 1 };
    this.#isRunningAlone = true;
  }

  /** The run has ended: whatever became of the record, it did not kill the process. */
  endAlone(): void {
    this.#isRunningAlone = false;
    this.#alone = undefined;
    this.#carefulLeft--;
    if (this.#carefulLeft <= 0) this.endCareful();
  }

  /** The run did not take place after all. */
  cancelAlone(): void {
    if (!this.#isRunningAlone) return;
    this.#isRunningAlone = false;
    this.#alone = this.#alone && lessOne(this.#alone);
  }

  /** What is committed while this member reads. */
  get whileReading(): { readonly starts: number; readonly alone: AloneRun | undefined } {
    if (this.#hasProgressed) return { starts: 0, alone: undefined };
    return { starts: this.#hasBegun ? this.#found + 1 : this.#found, alone: this.#alone };
  }

  /** What is committed when this member, alive, may lose the partition. */
  get handedOver(): { readonly starts: number; readonly alone: AloneRun | undefined } {
    if (this.#hasProgressed) return { starts: 0, alone: undefined };
    return { starts: this.#found, alone: this.#isRunningAlone && this.#alone ? lessOne(this.#alone) : this.#alone };
  }
}

function lessOne({ offset, runs }: AloneRun): AloneRun | undefined {
  return runs > 1 ? { offset, runs: runs - 1 } : undefined;
}

/** What this process began and lived through without being able to say so: it lost its member first. */
export class Survivals {
  readonly #of = new Map<string, { readonly starts: number; readonly alone: AloneRun | undefined }>();

  /** The partition went to somebody else with these starts in it. */
  note(partition: string, { whileReading, handedOver }: StartCounts): void {
    const alone = whileReading.alone && whileReading.alone.runs !== (handedOver.alone?.runs ?? 0) ? whileReading.alone : undefined;
    const starts = whileReading.starts - handedOver.starts;
    if (starts > 0 || alone) this.#of.set(partition, { starts, alone: alone && { offset: alone.offset, runs: 1 } });
  }

  /** What the last owner left, less what this process survived. */
  less<T extends { readonly starts: number; readonly alone: AloneRun | undefined }>(partition: string, found: T): T {
    const survived = this.#of.get(partition);
    if (!survived) return found;
    this.#of.delete(partition);
    const isSame = found.alone && survived.alone && found.alone.offset === survived.alone.offset;
    return {
      ...found,
      starts: Math.max(0, found.starts - survived.starts),
      alone: isSame && found.alone ? lessOne(found.alone) : found.alone,
    };
  }
}
