import { type CommitMetadata, writeCommitMetadata } from "./commit-metadata.js";
import type { IncomingRecord } from "./driver.js";
import type { RecordBatch } from "./driver-consumer.js";
import { OffsetTracker, offsetsOf } from "./offset-tracker.js";
import { detached, sizeOf } from "./record-memory.js";
import { StartCounts } from "./start-counts.js";

/** What is known of a topic that is read. */
export interface TopicRole {
  readonly topic: string;
  /** Of a retry topic: how long each record waits. */
  readonly retryDelayMs: number | undefined;
  /** Of a topic that several types share: those that are handled here; the others are passed over. */
  readonly types: ReadonlySet<string> | undefined;
}

/**
 * Loading: what the group committed is not known yet. Begin: it is; the beginning is not committed yet. Reading: records may be handed over.
 * Lost: another member has the partition.
 */
type Phase = "loading" | "begin" | "reading" | "lost";

/** One partition that this member of the group has: what was fetched and waits, what is handed over, what is done. */
export class AssignedPartition {
  readonly role: TopicRole;
  readonly partition: number;
  phase: Phase = "loading";
  /** Handed over, not settled. */
  unsettled = 0;
  /** How many were settled, and how many of these are committed: both only grow, so that two commits on their way at once count nothing twice. */
  settledCount = 0;
  committedCount = 0;
  /** Whether records were handed over before it was suspended. */
  wasReading = false;
  /** Whether fetching is paused. */
  isPaused = false;
  /** The broker that it was fetched from last, by its number. */
  broker = -1;
  /** Whether something lay behind what was fetched last, as far as is known. */
  hasMore: boolean | undefined;
  /** Grows with whatever a commit would tell. */
  version = 0;
  committedVersion = 0;
  #tracker: OffsetTracker = new OffsetTracker(0);
  #counts: StartCounts = new StartCounts({ starts: 0, alone: undefined }, 0);
  /** The committed offset is not below it. */
  #floor = 0;
  #backlog: readonly IncomingRecord[] = [];
  #head = 0;
  #bytes = 0;
  /** Where fetching began again, until it has come as far as it was. */
  #refetchedFrom = Number.POSITIVE_INFINITY;
  /** Where the records after those fetched begin. */
  #fetched = 0;
  /** Nothing between these offsets is a record. */
  #gap = { from: 0, to: 0 };
  /** The version with which its beginning is committed. */
  #beginning = 0;
  readonly #losses = new Set<AbortController>();

  constructor(role: TopicRole, partition: number) {
    this.role = role;
    this.partition = partition;
  }

  get topic(): string {
    return this.role.topic;
  }
  /** Settled, not committed. */
  get uncommitted(): number {
    return this.settledCount - this.committedCount;
  }
  get isLost(): boolean {
    return this.phase === "lost";
  }
  get isReady(): boolean {
    return this.phase === "begin" || this.phase === "reading";
  }
  get counts(): StartCounts {
    return this.#counts;
  }
  /** Everything before it is done. */
  get low(): number {
    return this.#tracker.low;
  }
  /** As far as is known: it may be further. */
  get committedOffset(): number {
    return this.#floor;
  }
  /** How far it was looked at. */
  get position(): number {
    return this.#tracker.position;
  }
  /** Everything before it was fetched; what is fetched next begins there. */
  get fetched(): number {
    return this.#fetched;
  }
  /** Everything before it that is a record was handed over, or was done before. */
  get reached(): number {
    return this.#peeked?.offset ?? Math.max(this.#fetched, this.position);
  }
  /** Bytes fetched that wait. */
  get waitingBytes(): number {
    return this.#bytes;
  }
  get waitingRecords(): number {
    return this.#backlog.length - this.#head;
  }

  /** @param atRisk how many records are held at most */
  load(offset: number, { starts, alone, done }: CommitMetadata, atRisk: number): void {
    this.#tracker = new OffsetTracker(offset, offsetsOf(done, offset));
    this.#counts = new StartCounts({ starts, alone }, atRisk);
    // It is fetched again from there: what was fetched before may begin behind it, or be another log's.
    this.dropWaiting();
    this.#fetched = offset;
    this.hasMore = undefined;
    this.#gap = { from: 0, to: 0 };
    this.#floor = offset;
    this.phase = "begin";
  }

  /** The beginning is to be committed: it counts until the prefix grows. */
  begin(): void {
    if (this.#beginning > 0) return;
    this.#counts.begin();
    this.#beginning = ++this.version;
  }

  /** Whether its beginning is being committed: that may be known to the brokers already. */
  get isBegun(): boolean {
    return this.phase === "begin" && this.#beginning > 0;
  }

  /** It is not certain any more that nobody else has it; nothing is handed over until that is. */
  suspend(): void {
    if (this.phase === "loading") return;
    this.wasReading = this.phase === "reading";
    this.#beginning = 0;
    this.phase = "loading";
  }

  /** Whether records were handed over, or might have been. */
  get hasRead(): boolean {
    return this.phase === "reading" || this.wasReading;
  }

  /** Nobody else had it. */
  goOn(): void {
    this.wasReading = false;
    this.phase = "reading";
  }

  /** Whether it begins below what was committed: a late answer of a former leader, or another log of the same name. */
  isBelow({ records }: RecordBatch): boolean {
    const first = records[0];
    return first !== undefined && this.isReady && first.offset < Math.min(this.#floor, this.#refetchedFrom);
  }

  /** Whether offsets between what was fetched and this were not asked for: they may be records. Before it is known where it is read from none is. */
  isBeyond({ fromOffset }: RecordBatch): boolean {
    return fromOffset > this.#fetched && (this.isReady || this.wasReading);
  }

  /** What is fetched next begins with what was committed by now, though more may be by then. */
  expectRefetch(): void {
    this.#refetchedFrom = this.#floor;
  }

  /** Takes what was fetched, less what it has already. */
  accept({ records, nextOffset, endOffset, broker }: RecordBatch): void {
    const from = this.#fetched;
    const first = records[0];
    let fresh = first && first.offset < from ? records.filter((record) => record.offset >= from) : records;
    if (this.role.retryDelayMs !== undefined) fresh = fresh.map(detached);
    for (const record of fresh) this.#bytes += sizeOf(record);
    if (this.waitingRecords === 0) {
      this.#backlog = fresh;
      this.#head = 0;
    } else if (fresh.length > 0) {
      this.#backlog = [...this.#backlog.slice(this.#head), ...fresh];
      this.#head = 0;
    }
    this.#fetched = Math.max(from, nextOffset);
    this.hasMore = nextOffset < endOffset;
    this.broker = broker;
    if (nextOffset >= from) this.#refetchedFrom = Number.POSITIVE_INFINITY;
  }

  /** Nothing from the first of these offsets up to the second is a record. It may be told before it is known where the group goes on. */
  passed(from: number, to: number): void {
    const { from: first, to: last } = this.#gap;
    this.#gap = from >= first && from <= last ? { from: first, to: Math.max(last, to) } : { from, to };
    const gap = this.#gap;
    // Only what it has come to: what lies before it may be fetched again from another place.
    if (gap.from > this.#fetched || gap.to <= this.#fetched) return;
    this.#fetched = gap.to;
    // That may have been all.
    if (this.hasMore) this.hasMore = undefined;
  }

  /** The record that is next, unless none waits, or it is too far ahead of the slowest. */
  peek(): IncomingRecord | undefined {
    const record = this.#peeked;
    return record && this.#tracker.canTake(record.offset) ? record : undefined;
  }

  /** Whether the record was done before, by whoever had the partition. */
  wasDone({ offset }: IncomingRecord): boolean {
    return this.#tracker.isDone(offset);
  }

  /** Takes the record that {@link peek} gave. @returns whether it is to be handled: not when it was done before */
  take({ offset }: IncomingRecord): boolean {
    this.shift();
    const low = this.#tracker.low;
    const isOpen = this.#tracker.take(offset);
    if (isOpen) return true;
    this.#moved(low);
    return false;
  }

  /** Whatever was there when it was begun is done: what comes now can have killed nobody. */
  get isThrough(): boolean {
    return this.hasMore === false && this.waitingRecords === 0 && this.unsettled === 0 && this.#tracker.low >= this.#fetched;
  }

  /** When nothing waits: what lies between the last record and what was fetched is no record. */
  passTail(): void {
    if (this.waitingRecords > 0 || this.#fetched <= this.#tracker.position) return;
    const low = this.#tracker.low;
    this.#tracker.skipTo(this.#fetched);
    this.#moved(low);
  }

  /** The record, which was taken, is done. */
  done(offset: number): void {
    this.version++;
    if (this.#tracker.settle(offset)) this.#counts.progressed();
  }

  /** Drops what waits: it is fetched again by whoever reads on. */
  dropWaiting(): void {
    this.#backlog = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** The offset was committed, and all that the partition said at this version: once that it was begun is among it, records may be handed over. */
  committed(offset: number, version: number): void {
    this.#floor = Math.max(this.#floor, offset);
    this.committedVersion = version;
    if (this.phase === "begin" && this.#beginning > 0 && version >= this.#beginning) this.phase = "reading";
  }

  /** What a commit says beside the offset; the least of it when the brokers take no more. */
  metadata(writer: string, isHandOver: boolean, isShort: boolean): string {
    const counts = isHandOver ? this.#counts.handedOver : this.#counts.whileReading;
    return writeCommitMetadata({ writer, ...counts, done: isShort ? new Uint8Array(0) : this.#tracker.doneBeyond() });
  }

  /** Another has it. What listens is told by {@link announceLoss}, when everything that is lost knows it. */
  lose(): void {
    this.phase = "lost";
    this.dropWaiting();
  }

  announceLoss(): void {
    for (const loss of this.#losses) loss.abort();
    this.#losses.clear();
  }

  /** Has `loss` abort when the partition is lost. */
  tellLoss(loss: AbortController): void {
    this.#losses.add(loss);
  }

  forgetLoss(loss: AbortController): void {
    this.#losses.delete(loss);
  }

  shift(): void {
    const record = this.#peeked;
    if (!record) return;
    this.#bytes -= sizeOf(record);
    this.#head++;
    if (this.#head === this.#backlog.length) this.dropWaiting();
  }

  get #peeked(): IncomingRecord | undefined {
    return this.#backlog[this.#head];
  }

  #moved(low: number): void {
    if (this.#tracker.low === low) return;
    this.version++;
    this.#counts.progressed();
  }
}
