import type { Publication } from "./publication.js";

/** Most records in one request. */
export const MAX_RECORDS = 500;
/** Most bytes of records in one request, unless a single one is larger. Below `max.message.bytes` as it is by default, which holds for each partition's part. */
export const MAX_BYTES = 900_000;
/** What a batch of records takes beside them, in Kafka's format. */
export const BATCH_OVERHEAD = 70;

/**
 * What waits for one partition, or, when it is keyless, for any of a topic. A lane with keys has one request in flight, so that what comes behind a
 * failed one never overtakes it.
 */
export class SendLane {
  readonly topic: string;
  /** -1: any. */
  readonly partition: number;
  #waiting: Publication[] = [];
  isBusy = false;
  /** Most records at a time: less after the broker refused several together, so that the culprit is found. */
  #limit = MAX_RECORDS;
  /** Its next request is of its own: the one before was refused for one of several lanes. */
  isAlone = false;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get limit(): number {
    return this.#limit;
  }

  push(publication: Publication): void {
    this.#waiting.push(publication);
  }

  /** The next ones that fit; none when not even the first does and something else is in the request already (`used`). */
  take(maxRecords: number, maxBytes: number, used: boolean): readonly Publication[] {
    const most = Math.min(this.#limit, maxRecords);
    const taken: Publication[] = [];
    let bytes = 0;
    let looked = 0;
    for (const publication of this.#waiting) {
      if (!publication.isAnswered) {
        if (taken.length >= most || (bytes + publication.bytes > maxBytes && (used || taken.length > 0))) break;
        bytes += publication.bytes;
        taken.push(publication);
      }
      looked++;
    }
    this.#waiting.splice(0, looked);
    return taken;
  }

  /** Back to its front: they are sent again, before what came later. */
  putBack(publications: readonly Publication[]): void {
    this.#waiting = publications.filter((publication) => !publication.isAnswered).concat(this.#waiting);
  }

  /** Half as many at a time from now on. */
  narrow(from: number): void {
    this.#limit = Math.max(1, Math.floor(from / 2));
  }

  /** What was sent was taken: twice as many at a time, up to the most. */
  widen(): void {
    this.isAlone = false;
    this.#limit = Math.min(MAX_RECORDS, this.#limit * 2);
  }

  /** Lets go of what was answered meanwhile. */
  purge(): void {
    this.#waiting = this.#waiting.filter((publication) => !publication.isAnswered);
  }

  /** All that waits; nothing does any more. */
  drain(): readonly Publication[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }
}
