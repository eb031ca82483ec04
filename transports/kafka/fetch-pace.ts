import type { AssignedPartition } from "./assigned-partition.js";

/** What waits of all partitions together, in bytes; beyond it no fetch goes out before {@link HOLD_MS}. One batch more of each may be there in the end. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
/** A partition may have so much in any case. */
const MIN_WAITING_BYTES = 64 * 1024;
/** A fetch is held up so long before it goes without the partitions that are full: a pause costs up to one more fetch to end, and mostly room comes soon. */
const HOLD_MS = 200;

/** What the pace asks of its reader. */
export interface PaceOwner {
  pause(partition: AssignedPartition): void;
  resume(partition: AssignedPartition): void;
}

/** A fetch that is not asked for yet. */
interface HeldFetch {
  readonly goesOn: Promise<void>;
  letGo(): void;
  readonly timer: NodeJS.Timeout;
}

/**
 * When the next fetch from a broker goes out, and of which partitions. It asks for all of the broker's at once, and the next one does not go out before it is answered:
 * held up for one that is full, the others run dry; without it, it may find nothing and wait in the broker, and who has room again waits with it. So it goes out
 * without those that are full while others have more, and is held up while only those have that are full.
 */
export class FetchPace {
  readonly #partitions: readonly AssignedPartition[];
  readonly #owner: PaceOwner;
  /** Those that will mostly have room soon: fetches are held up for them. */
  readonly #full = new Set<AssignedPartition>();
  /** By broker. */
  readonly #held = new Map<number, HeldFetch>();

  /** @param partitions all that this member has, as they come and go */
  constructor(partitions: readonly AssignedPartition[], owner: PaceOwner) {
    this.#partitions = partitions;
    this.#owner = owner;
  }

  /** A batch of the partition was taken. @param isSoon whether what waits of it is handed over soon @returns what the next fetch from its broker waits for */
  took(partition: AssignedPartition, isSoon: boolean): Promise<void> | undefined {
    if (this.#isFull(partition)) {
      if (isSoon) this.#full.add(partition);
      else this.#pause(partition);
    }
    return this.#isAnyFull(partition.broker) ? this.#hold(partition.broker) : undefined;
  }

  /** Something of the partition was handed over, or dropped. */
  relieve(partition: AssignedPartition): void {
    if (partition.waitingBytes > this.#share / 2) return;
    this.#full.delete(partition);
    if (!partition.isPaused) return;
    partition.isPaused = false;
    this.#owner.resume(partition);
  }

  /** The partition is lost. */
  remove(partition: AssignedPartition): void {
    this.#full.delete(partition);
    this.look();
  }

  /** Lets those fetches go on that are held up for nothing any more. */
  look(): void {
    if (this.#held.size === 0) return;
    let waitingBytes = 0;
    for (const partition of this.#partitions) waitingBytes += partition.waitingBytes;
    const isCrowded = waitingBytes > this.#share * this.#partitions.length;
    for (const broker of this.#held.keys()) {
      if ((!isCrowded && this.#hasHungry(broker)) || !this.#isAnyFull(broker)) this.#letGo(broker);
    }
  }

  /** From here on nothing is held up. */
  stop(): void {
    for (const broker of this.#held.keys()) this.#letGo(broker);
    this.#full.clear();
  }

  #hold(broker: number): Promise<void> {
    const held = this.#held.get(broker);
    if (held) return held.goesOn;
    let letGo = (): void => {};
    const goesOn = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const timer = setTimeout(() => this.#giveUp(broker), HOLD_MS);
    this.#held.set(broker, { goesOn, letGo, timer });
    // When the other batches of the same fetch were taken too.
    setImmediate(() => this.look());
    return goesOn;
  }

  #letGo(broker: number): void {
    const held = this.#held.get(broker);
    this.#held.delete(broker);
    for (const partition of this.#full) if (partition.broker === broker && !partition.isPaused) this.#leaveOut(partition);
    clearTimeout(held?.timer);
    held?.letGo();
  }

  #leaveOut(partition: AssignedPartition): void {
    if (this.#isFull(partition)) this.#pause(partition);
    else this.#full.delete(partition);
  }

  /** No room came soon: from here on nothing is held up for it. */
  #giveUp(broker: number): void {
    this.#letGo(broker);
    for (const partition of this.#full) if (partition.broker === broker) this.#full.delete(partition);
  }

  #pause(partition: AssignedPartition): void {
    partition.isPaused = true;
    this.#owner.pause(partition);
  }

  /** Whether the next fetch will bring something. */
  #hasHungry(broker: number): boolean {
    return this.#partitions.some((each) => each.broker === broker && each.hasMore && !each.isPaused && !this.#full.has(each));
  }

  #isAnyFull(broker: number): boolean {
    for (const partition of this.#full) if (partition.broker === broker) return true;
    return false;
  }

  #isFull(partition: AssignedPartition): boolean {
    return partition.waitingBytes > this.#share;
  }

  get #share(): number {
    return Math.max(MIN_WAITING_BYTES, MAX_WAITING_BYTES / Math.max(1, this.#partitions.length));
  }
}
