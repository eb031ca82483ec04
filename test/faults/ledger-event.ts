/**
 * What processes write down while things break. `at` is in milliseconds of the machine's monotonic clock, which all processes
 * of one machine share, so that events of different files can be put in order.
 */
export interface LedgerStamp {
  readonly at: number;
  /** The name of the service, the same after a restart: "consumer-2". */
  readonly process: string;
  readonly pid: number;
  /** Counts the lines of one file: a gap is a lost line. */
  readonly sequence: number;
}

/** Written before `publish` is called. A second one with the same id is a copy, sent on purpose or because the first was not confirmed. */
export interface Attempt {
  readonly event: "attempt";
  readonly id: string;
  readonly key?: string;
  readonly checksum: string;
  /** What the message is made to become at every endpoint. */
  readonly expect: "handled" | "dead-lettered";
  /** Of a dead letter: the reason that it must have. */
  readonly reason?: string;
  /** Those that must get it. */
  readonly endpoints: readonly string[];
  /** The message whose handler published this one: it must arrive when that one was handled. */
  readonly parent?: string;
}

export interface Outcome {
  readonly event: "outcome";
  readonly id: string;
  /** "refused" is a promise that it is not stored; "unknown" is none. */
  readonly outcome: "acknowledged" | "refused" | "unknown";
  readonly code?: string;
}

/** One run of a handler. `attempt` is what the bus says: 1 for the first, higher for its retries. */
export interface RunEvent {
  readonly event: "started" | "handled" | "failed";
  readonly id: string;
  readonly endpoint: string;
  readonly attempt: number;
  /** On "started" only: of what arrived. */
  readonly checksum?: string;
  readonly key?: string;
}

export interface DeadLettered {
  readonly event: "dead-lettered";
  readonly id: string;
  readonly endpoint: string;
  readonly reason: string;
  readonly checksum: string;
}

/** Something that was broken, and whom it hit. Written when it is over. */
export interface FaultEvent {
  readonly event: "fault";
  /** Its place in the schedule, from 1; 0 when nobody scheduled it. */
  readonly fault: number;
  readonly kind: string;
  readonly from: number;
  readonly until: number;
  readonly hits: readonly FaultHit[];
  /** What was done in detail, for the log. */
  readonly detail?: string;
}

export interface FaultHit {
  readonly process: string;
  /** At most so many messages may run (or be sent) again because of it: the `prefetch` of an instance, what a publisher had outstanding. */
  readonly repeats: number;
}

/** What must never happen: an unhandled rejection, an uncaught error, a process that ended though nobody killed it. */
export interface Trouble {
  readonly event: "trouble";
  readonly text: string;
}

/** Resident memory of the writing process. */
export interface MemorySample {
  readonly event: "memory";
  readonly megabytes: number;
}

/** How much was left in a queue after the drain. */
export interface QueueDepth {
  readonly event: "depth";
  readonly queue: string;
  readonly messages: number;
}

/** The life of a process, for the story of a message. */
export interface ProcessEvent {
  readonly event: "process";
  readonly what: string;
}

export type LedgerEntry = Attempt | Outcome | RunEvent | DeadLettered | FaultEvent | Trouble | MemorySample | QueueDepth | ProcessEvent;
export type LedgerEvent = LedgerEntry & LedgerStamp;
