import { DriverError, type DriverProducer, type OutgoingBatch, type RecordContent } from "./driver.js";
import type { KafkaError } from "./errors.js";
import { partitionOfKey } from "./partitioner.js";
import type { Publication } from "./publication.js";
import { BATCH_OVERHEAD, MAX_BYTES, MAX_RECORDS, SendLane } from "./send-lane.js";
import type { TopicState } from "./topic-directory.js";

/** The records of one lane in a request. */
export interface RequestPart {
  readonly lane: SendLane;
  readonly partition: number;
  readonly publications: readonly Publication[];
}

export interface ProduceQueueOwner {
  readonly producer: DriverProducer | undefined;
  /** What is known of the topic now; `undefined` when it is to be looked for, and its lanes wait. */
  stateOf(topic: string): TopicState | undefined;
  /** A request was not confirmed. Answers its publications or puts them back into their lanes. */
  failed(parts: readonly RequestPart[], error: DriverError, producer: DriverProducer): void;
  /** Nothing waits or is in flight. */
  idle(): void;
}

/** A lane from which something may go, with the partition for it. */
interface Candidate {
  readonly lane: SendLane;
  readonly partition: number;
  readonly state: TopicState;
}

/** Requests in flight to one broker: enough to keep it busy while kafkajs encodes the next. */
const MAX_IN_FLIGHT = 5;
/** A request with so many records is worth its cost; lanes with fewer share one. */
const ENOUGH_RECORDS = 128;

/**
 * Makes requests of what waits: once per turn of the event loop while one is on its way and at once while none is, per leader, several in flight at a time; each
 * partition's records with keys one request after the other, those without keys wherever there is room.
 */
export class ProduceQueue {
  readonly #owner: ProduceQueueOwner;
  /** The driver ends a request by itself; one that does not, because it hangs in something else, ends here. */
  readonly #requestMs: number;
  readonly #lanes = new Map<string, Map<number, SendLane>>();
  /** Those in which something waits: there may be thousands of others. */
  readonly #filled = new Set<SendLane>();
  readonly #inFlight = new Map<number, number>();
  #requests = 0;
  #isScheduled = false;
  #turn = 0;

  constructor(owner: ProduceQueueOwner, requestMs: number) {
    this.#owner = owner;
    this.#requestMs = requestMs;
  }

  get isIdle(): boolean {
    return this.#filled.size === 0 && this.#requests === 0;
  }

  add(publication: Publication, state: TopicState): void {
    const { key, topic } = publication.record;
    const partition = key === null ? -1 : partitionOfKey(key, state.partitions.length);
    const lane = this.#laneOf(topic, partition);
    lane.push(publication);
    this.#filled.add(lane);
    this.schedule();
  }

  /** Back to the front of its lane, for another try. */
  putBack({ lane, publications }: RequestPart): void {
    lane.putBack(publications);
    if (lane.length > 0) this.#filled.add(lane);
    this.schedule();
  }

  /**
   * Looks for something to send when this callback is through, with all that it resolved; at the end of this turn of the event loop while a request is on its way,
   * since what other callbacks have may share the next one then.
   */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (this.#requests === 0) process.nextTick(this.#run);
    else setImmediate(this.#run);
  }

  /** Lets go of what was answered meanwhile. */
  purge(): void {
    for (const lane of this.#filled) {
      lane.purge();
      if (lane.length === 0) this.#filled.delete(lane);
    }
    this.schedule();
  }

  /** Answers all that waits. */
  refuseAll(error: KafkaError): void {
    for (const lane of [...this.#filled]) this.refuseLane(lane, error);
  }

  refuseTopic(topic: string, error: KafkaError): void {
    for (const lane of this.#lanes.get(topic)?.values() ?? []) this.refuseLane(lane, error);
  }

  refuseLane(lane: SendLane, error: KafkaError): void {
    this.#filled.delete(lane);
    for (const publication of lane.drain()) publication.refused(error);
    this.schedule();
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    this.#pump();
  };

  #laneOf(topic: string, partition: number): SendLane {
    let lanes = this.#lanes.get(topic);
    if (!lanes) {
      lanes = new Map();
      this.#lanes.set(topic, lanes);
    }
    let lane = lanes.get(partition);
    if (!lane) {
      lane = new SendLane(topic, partition);
      lanes.set(partition, lane);
    }
    return lane;
  }

  #pump(): void {
    const { producer } = this.#owner;
    if (producer && this.#filled.size > 0) {
      for (const [leader, candidates] of this.#candidates()) {
        while (candidates.length > 0 && this.#roomAt(leader) > 0) {
          const parts = this.#nextRequest(candidates, this.#roomAt(leader) === 1);
          if (parts.length > 0) void this.#request(parts, leader, producer);
        }
      }
    }
    if (this.isIdle) this.#owner.idle();
  }

  /** By leader. */
  #candidates(): Map<number, Candidate[]> {
    const byLeader = new Map<number, Candidate[]>();
    for (const lane of this.#filled) {
      const state = lane.isBusy ? undefined : this.#owner.stateOf(lane.topic);
      if (!state) continue;
      if (lane.partition >= 0) {
        const leader = state.partitions[lane.partition]?.leader ?? -1;
        listIn(byLeader, leader).push({ lane, partition: lane.partition, state });
        continue;
      }
      for (let left = lane.length; left > 0; left -= lane.limit) {
        const { partition, leader } = this.#anyPartition(state);
        listIn(byLeader, leader).push({ lane, partition, state });
      }
    }
    return byLeader;
  }

  /** Each in turn, but none whose leader is busy, or away, while another one's is not. */
  #anyPartition({ partitions }: TopicState): { readonly partition: number; readonly leader: number } {
    const count = partitions.length;
    for (let i = 0; i < count; i++) {
      const candidate = partitions[this.#turn++ % count];
      if (candidate && candidate.leader >= 0 && this.#roomAt(candidate.leader) > 0) return candidate;
    }
    return partitions[this.#turn++ % count] ?? { partition: 0, leader: -1 };
  }

  #nextRequest(candidates: Candidate[], isLast: boolean): readonly RequestPart[] {
    const parts: RequestPart[] = [];
    const enough = isLast ? MAX_RECORDS : ENOUGH_RECORDS;
    let records = 0;
    let bytes = 0;
    while (candidates.length > 0 && records < enough) {
      const { lane, partition, state } = candidates[0] as Candidate;
      // The limit of a batch is a partition's, so each is in a request once.
      const isIn = parts.some((part) => part.partition === partition && part.lane.topic === lane.topic);
      if (isIn || (lane.isAlone && parts.length > 0)) break;
      const room = Math.min(MAX_BYTES - bytes, state.maxMessageBytes - BATCH_OVERHEAD);
      const publications = lane.take(MAX_RECORDS - records, room, parts.length > 0);
      if (lane.length === 0) this.#filled.delete(lane);
      else if (publications.length === 0) break;
      candidates.shift();
      if (publications.length === 0) continue;
      lane.isBusy = lane.partition >= 0;
      parts.push({ lane, partition, publications });
      records += publications.length;
      for (const publication of publications) bytes += publication.bytes;
      if (lane.isAlone) break;
    }
    return parts;
  }

  async #request(parts: readonly RequestPart[], leader: number, producer: DriverProducer): Promise<void> {
    this.#requests++;
    this.#inFlight.set(leader, (this.#inFlight.get(leader) ?? 0) + 1);
    const batches: OutgoingBatch[] = [];
    for (const { lane, partition, publications } of parts) {
      const records: RecordContent[] = [];
      for (const publication of publications) {
        publication.isHandedOver = true;
        records.push(publication.record);
      }
      // It is alone: nothing fits beside it.
      batches.push({ topic: lane.topic, partition, records, isOversized: publications[0]?.isOversized ?? false });
    }
    try {
      await producer.produce(batches, this.#requestMs);
      for (const { lane, publications } of parts) {
        lane.widen();
        for (const publication of publications) publication.sent();
      }
    } catch (error) {
      for (const { publications } of parts) for (const publication of publications) publication.isHandedOver = false;
      const known = error instanceof DriverError ? error : new DriverError("unknown", String(error), { cause: error });
      this.#owner.failed(parts, known, producer);
    }
    for (const { lane } of parts) lane.isBusy = false;
    this.#requests--;
    this.#inFlight.set(leader, (this.#inFlight.get(leader) ?? 1) - 1);
    this.schedule();
  }

  #roomAt(leader: number): number {
    return MAX_IN_FLIGHT - (this.#inFlight.get(leader) ?? 0);
  }
}

function listIn<K, V>(map: Map<K, V[]>, key: K): V[] {
  let list = map.get(key);
  if (!list) {
    list = [];
    map.set(key, list);
  }
  return list;
}
