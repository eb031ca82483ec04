/**
 * How far ahead of the committed offset records are handed over: as many as the bitmap in the commit's metadata has room for, so that
 * nothing that is done is ever forgotten.
 */
export const MAX_SPREAD = 10_000;

/** A power of two above {@link MAX_SPREAD}: an offset finds its place in the ring by its lowest bits, whatever its size. */
const RING_SIZE = 16_384;
const RING_MASK = RING_SIZE - 1;

/**
 * What of one partition is done: the contiguous prefix, which can be committed, and what lies beyond it. Offsets that the log does not
 * have (compacted away, transaction marks, deleted) count as done.
 */
export class OffsetTracker {
  #low: number;
  #position: number;
  #highestDone: number;
  /** One byte an offset from `low` on; made when it is first needed, for most partitions of an idle endpoint never are. */
  #done: Uint8Array | undefined;

  /** @param low the committed offset @param done the offsets beyond it that were done before, each below `low + MAX_SPREAD` */
  constructor(low: number, done: Iterable<number> = []) {
    this.#low = low;
    this.#position = low;
    this.#highestDone = low - 1;
    for (const offset of done) if (offset >= low && offset < low + MAX_SPREAD) this.#mark(offset);
  }

  /** The first offset that is not done, of those that were taken; everything before it is. */
  get low(): number {
    return this.#low;
  }

  /** The offset after the last one taken. */
  get position(): number {
    return this.#position;
  }

  /** Whether something beyond the prefix is done. */
  get hasDoneBeyond(): boolean {
    return this.#highestDone > this.#low;
  }

  /** Whether the record at this offset may be taken now: those too far ahead wait for the slowest. */
  canTake(offset: number): boolean {
    return offset < this.#low + MAX_SPREAD || this.#low === this.#position;
  }

  /** Whether the record at this offset was done before it is taken. */
  isDone(offset: number): boolean {
    return offset < this.#low || (offset <= this.#highestDone && this.#done?.[offset & RING_MASK] === 1);
  }

  /**
   * Takes the next record; offsets that were left out since the last one do not exist. @returns whether it is to be done: not when it was done
   * before, here or by whoever had the partition
   */
  take(offset: number): boolean {
    if (offset < this.#position) return false;
    this.skipTo(offset);
    this.#position = offset + 1;
    if (!this.isDone(offset)) return true;
    this.#advance();
    return false;
  }

  /** Nothing is at the offsets from the position up to this one; passed when what is open before them allows it. */
  skipTo(offset: number): void {
    // More than can be remembered beside an open record: it is passed with the first call after that is done.
    if (offset <= this.#position || !this.canTake(offset - 1)) return;
    if (this.#low === this.#position && this.#highestDone < this.#low) {
      this.#low = offset;
      this.#highestDone = offset - 1;
    } else if (this.#low === this.#position && offset >= this.#low + MAX_SPREAD) {
      // A gap that is wider than the ring: what was done beyond the prefix lies in it.
      this.#done?.fill(0);
      this.#low = offset;
      this.#highestDone = offset - 1;
    } else {
      for (let gap = this.#position; gap < offset; gap++) this.#mark(gap);
    }
    this.#position = offset;
    this.#advance();
  }

  /** The record at this offset, which was taken, is done. @returns whether the prefix grew */
  settle(offset: number): boolean {
    if (offset !== this.#low) {
      this.#mark(offset);
      return false;
    }
    this.#low = offset + 1;
    this.#advance();
    return true;
  }

  /** What is done beyond the prefix, a bit for each offset from `low` on, the lowest bit first. Empty when nothing is. */
  doneBeyond(): Uint8Array {
    if (!this.hasDoneBeyond || !this.#done) return NOTHING;
    const bits = new Uint8Array(((this.#highestDone - this.#low) >> 3) + 1);
    for (let i = 0; i <= this.#highestDone - this.#low; i++) {
      if (this.#done[(this.#low + i) & RING_MASK] === 1) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
    }
    return bits;
  }

  #mark(offset: number): void {
    this.#done ??= new Uint8Array(RING_SIZE);
    this.#done[offset & RING_MASK] = 1;
    if (offset > this.#highestDone) this.#highestDone = offset;
  }

  #advance(): void {
    const done = this.#done;
    if (!done) return;
    while (this.#low < this.#position && done[this.#low & RING_MASK] === 1) {
      done[this.#low & RING_MASK] = 0;
      this.#low++;
    }
  }
}

const NOTHING = new Uint8Array(0);

/** The offsets whose bits are set, as {@link OffsetTracker.doneBeyond} writes them. */
export function* offsetsOf(bits: Uint8Array, low: number): Generator<number> {
  for (let i = 0; i < bits.length * 8; i++) if (((bits[i >> 3] ?? 0) >> (i & 7)) & 1) yield low + i;
}
