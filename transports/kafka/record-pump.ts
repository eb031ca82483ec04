import type { Delivery, DeliverySink } from "../../src/contracts/transport.js";
import type { AssignedPartition } from "./assigned-partition.js";
import { type DeliveryHome, KafkaDelivery } from "./delivery.js";
import type { IncomingRecord } from "./driver.js";
import type { RecordBatch } from "./driver-consumer.js";
import { DueTimer } from "./due-timer.js";
import { FetchPace, type PaceOwner } from "./fetch-pace.js";
import { propertiesOf } from "./mapping.js";
import { dueOf } from "./retry-time.js";

/** So many records of one partition are handed over before its neighbours have their turn. */
const IN_A_ROW = 32;

/** What the pump asks of its reader. */
export interface PumpOwner extends PaceOwner {
  /** Records of the partition wait, and its beginning is not committed yet. */
  begin(partition: AssignedPartition): void;
  /** Records of a partition that is read carefully wait. */
  careful(partition: AssignedPartition): void;
  /** Something of the partition is done that nobody was told of: other types' records, or gaps. */
  passed(partition: AssignedPartition): void;
  /** No record before the end of the partition is left to hand over. */
  ended(partition: AssignedPartition): void;
}

/**
 * Hands what was fetched over to the core: in the order of each partition, as many from each as can be, and never more than `prefetch` that are
 * unsettled or whose settlement is not committed, for these run again when the process dies.
 */
export class RecordPump {
  /** Nothing is handed over while it is false. */
  isOpen = false;
  /** Nothing but what {@link hand} is told. */
  isHeld = false;
  readonly #owner: PumpOwner;
  readonly #home: DeliveryHome;
  readonly #sink: DeliverySink;
  readonly #prefetch: number;
  readonly #endOf: ((partition: AssignedPartition) => number) | undefined;
  readonly #due = new DueTimer(() => this.run());
  readonly #partitions: AssignedPartition[] = [];
  readonly #pace: FetchPace;
  #first = 0;
  #unsettled = 0;
  #uncommitted = 0;
  #idle: (() => void)[] = [];

  /** @param endOf where a partition ends for this reader, if anywhere */
  constructor(
    owner: PumpOwner,
    home: DeliveryHome,
    sink: DeliverySink,
    prefetch: number,
    endOf?: (partition: AssignedPartition) => number,
  ) {
    this.#owner = owner;
    this.#pace = new FetchPace(this.#partitions, owner);
    this.#home = home;
    this.#sink = sink;
    this.#prefetch = prefetch;
    this.#endOf = endOf;
  }

  /** So many settlements wait for a commit. */
  get uncommitted(): number {
    return this.#uncommitted;
  }

  add(partition: AssignedPartition): void {
    this.#partitions.push(partition);
  }

  /** The partition is lost, with all that was handed over of it. */
  remove(partition: AssignedPartition): void {
    this.#partitions.splice(this.#partitions.indexOf(partition), 1);
    this.#unsettled -= partition.unsettled;
    this.#uncommitted -= partition.uncommitted;
    this.#pace.remove(partition);
    this.#tellIfIdle();
  }

  /** Takes a batch; the answer resolves when the next fetch from its broker is to go out. */
  accept(partition: AssignedPartition, batch: RecordBatch): Promise<void> | undefined {
    partition.accept(batch);
    this.run();
    // What waits for its time makes no room soon.
    return this.#pace.took(partition, partition.role.retryDelayMs === undefined && this.isOpen);
  }

  /**
   * Hands over what can be: first up to each partition's part of the prefetch, then what room is left. In turn alone, partitions whose records are settled slowly
   * (few keys, one after the other) would come to hold nearly all, and the others would go no faster than the slowest.
   */
  run(): void {
    if (!this.isOpen || this.isHeld) return;
    this.#handUpTo(this.#partOfEach);
    this.#handUpTo(this.#prefetch);
    this.#pace.look();
  }

  #handUpTo(most: number): void {
    for (let isMore = true; isMore; ) {
      isMore = false;
      const count = this.#partitions.length;
      const first = this.#first++ % Math.max(1, count);
      for (let i = 0; i < count; i++) {
        const partition = this.#partitions[(first + i) % count];
        if (partition && this.#handFrom(partition, most)) isMore = true;
      }
    }
  }

  /** The next record of the partition that is to be handled and may be now; it is taken when it is handed over. */
  next(partition: AssignedPartition): IncomingRecord | undefined {
    const end = this.#endOf?.(partition) ?? Number.POSITIVE_INFINITY;
    for (let record = partition.peek(); record; record = partition.peek()) {
      if (record.offset >= end) break;
      if (partition.role.retryDelayMs !== undefined) {
        const due = dueOf(record, partition.role.retryDelayMs);
        if (due > Date.now()) {
          this.#due.wakeAt(due);
          return undefined;
        }
      }
      if (!isForOthers(record, partition) && !partition.wasDone(record)) return record;
      this.#pass(record, partition);
    }
    partition.passTail();
    if (this.#endOf && (partition.position >= end || (partition.peek()?.offset ?? -1) >= end)) this.#owner.ended(partition);
    return undefined;
  }

  /** Hands over one record that {@link next} gave. */
  hand(record: IncomingRecord, partition: AssignedPartition, suspicion: Delivery["suspicion"]): void {
    partition.take(record);
    partition.unsettled++;
    this.#unsettled++;
    this.#sink.deliver(new KafkaDelivery(record, partition, this.#home, suspicion));
  }

  settled({ partition, record }: KafkaDelivery): void {
    partition.done(record.offset);
    partition.unsettled--;
    partition.settledCount++;
    this.#unsettled--;
    this.#uncommitted++;
    this.#tellIfIdle();
  }

  left({ partition }: KafkaDelivery): void {
    partition.unsettled--;
    this.#unsettled--;
    this.#tellIfIdle();
  }

  /** As many of the partition as were settled by then are committed. */
  committed(partition: AssignedPartition, settledCount: number): void {
    const fresh = settledCount - partition.committedCount;
    if (fresh <= 0) return;
    partition.committedCount = settledCount;
    this.#uncommitted -= fresh;
  }

  /** Resolves when nothing that was handed over is unsettled. */
  async whenIdle(): Promise<void> {
    if (this.#unsettled > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  stop(): void {
    this.isOpen = false;
    this.#due.stop();
    this.#pace.stop();
  }

  /** Of those of which there is something. */
  get #partOfEach(): number {
    let count = 0;
    for (const { unsettled, waitingRecords } of this.#partitions) if (unsettled > 0 || waitingRecords > 0) count++;
    return Math.ceil(this.#prefetch / Math.max(1, count));
  }

  /** @param most of the partition that are unsettled at one time @returns whether there may be more at once */
  #handFrom(partition: AssignedPartition, most: number): boolean {
    if (!partition.isReady) return false;
    if (partition.phase === "begin" || partition.counts.isCareful) {
      if (this.next(partition)) this.#ask(partition);
      else if (partition.counts.isCareful && partition.isThrough) partition.counts.endCareful();
      return this.#relieve(partition);
    }
    for (let handed = 0; handed < IN_A_ROW; handed++) {
      if (partition.unsettled >= most || this.#unsettled + this.#uncommitted >= this.#prefetch) return this.#relieve(partition);
      const record = this.next(partition);
      if (!record) return this.#relieve(partition);
      this.hand(record, partition, "none");
    }
    this.#relieve(partition);
    return true;
  }

  #ask(partition: AssignedPartition): void {
    if (partition.phase !== "begin") this.#owner.careful(partition);
    // What is begun without being handed over would count against the partition all the same, should the process die now.
    else if (this.#unsettled + this.#uncommitted < this.#prefetch) this.#owner.begin(partition);
  }

  #relieve(partition: AssignedPartition): false {
    this.#pace.relieve(partition);
    return false;
  }

  #pass(record: IncomingRecord, partition: AssignedPartition): void {
    if (partition.take(record)) partition.done(record.offset);
    this.#owner.passed(partition);
  }

  #tellIfIdle(): void {
    if (this.#unsettled > 0 || this.#idle.length === 0) return;
    for (const tell of this.#idle.splice(0)) tell();
  }
}

function isForOthers(record: IncomingRecord, { role }: AssignedPartition): boolean {
  if (!role.types) return false;
  const { messageType } = propertiesOf(record);
  return messageType !== undefined && !role.types.has(messageType);
}
