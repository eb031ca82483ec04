import type { Attempt, DeadLettered, FaultEvent, LedgerEvent, LedgerStamp, Outcome, RunEvent } from "./ledger-event.js";

/** One call of `publish`. */
export interface Sending {
  readonly process: string;
  readonly at: number;
  readonly attempt: Attempt;
  outcome: Outcome["outcome"] | undefined;
  /** When the outcome was known; infinite when the process died before. */
  endedAt: number;
}

/** One run of a handler. */
export interface Run {
  readonly process: string;
  readonly pid: number;
  readonly endpoint: string;
  readonly attempt: number;
  readonly startedAt: number;
  readonly checksum: string | undefined;
  readonly key: string | undefined;
  /** "cut-short": the process died in it, or was still in it at the end. */
  result: "handled" | "failed" | "cut-short";
  endedAt: number;
}

/** All that is known about one message. */
export interface MessageHistory {
  readonly id: string;
  readonly sendings: Sending[];
  readonly runs: Run[];
  readonly deadLetters: (DeadLettered & LedgerStamp)[];
}

/** The ledgers, put together by message. */
export class History {
  readonly messages = new Map<string, MessageHistory>();
  readonly faults: FaultEvent[] = [];
  readonly troubles: { readonly process: string; readonly text: string }[] = [];
  readonly depths: { readonly queue: string; readonly messages: number }[] = [];
  readonly memory = new Map<string, { readonly at: number; readonly megabytes: number }[]>();
  /** Ends of runs whose beginning is not known: a defect of the ledger itself. */
  readonly strayEnds: (RunEvent & LedgerStamp)[] = [];
  /** A library without deduplication may run a message again while the first run goes on: the oldest is taken to end first. */
  readonly #open = new Map<string, Run[]>();

  /** Events of one process come in their order; processes in any. */
  add(event: LedgerEvent): void {
    switch (event.event) {
      case "attempt":
        this.#message(event.id).sendings.push({
          process: event.process,
          at: event.at,
          attempt: event,
          outcome: undefined,
          endedAt: Number.POSITIVE_INFINITY,
        });
        break;
      case "outcome":
        this.#outcome(event);
        break;
      case "started":
        this.#started(event);
        break;
      case "handled":
      case "failed":
        this.#ended(event);
        break;
      case "dead-lettered":
        this.#message(event.id).deadLetters.push(event);
        break;
      case "fault":
        this.faults.push(event);
        break;
      case "trouble":
        this.troubles.push({ process: event.process, text: event.text });
        break;
      case "depth":
        this.depths.push({ queue: event.queue, messages: event.messages });
        break;
      case "memory":
        this.#samples(event.process).push({ at: event.at, megabytes: event.megabytes });
        break;
      case "process":
        break;
    }
  }

  #message(id: string): MessageHistory {
    let message = this.messages.get(id);
    if (!message) {
      message = { id, sendings: [], runs: [], deadLetters: [] };
      this.messages.set(id, message);
    }
    return message;
  }

  #samples(process: string): { readonly at: number; readonly megabytes: number }[] {
    let samples = this.memory.get(process);
    if (!samples) {
      samples = [];
      this.memory.set(process, samples);
    }
    return samples;
  }

  #outcome(event: Outcome & LedgerStamp): void {
    // The oldest open one: copies that one process sends at one time are alike, so it does not matter whose outcome this is.
    const sending = this.#message(event.id).sendings.find((s) => s.process === event.process && s.outcome === undefined);
    if (!sending) {
      this.troubles.push({ process: event.process, text: `an outcome without an attempt: ${event.id}` });
      return;
    }
    sending.outcome = event.outcome;
    sending.endedAt = event.at;
  }

  #started(event: RunEvent & LedgerStamp): void {
    const run: Run = {
      process: event.process,
      pid: event.pid,
      endpoint: event.endpoint,
      attempt: event.attempt,
      startedAt: event.at,
      checksum: event.checksum,
      key: event.key,
      result: "cut-short",
      endedAt: Number.POSITIVE_INFINITY,
    };
    this.#message(event.id).runs.push(run);
    const key = runKey(event);
    const open = this.#open.get(key);
    if (open) open.push(run);
    else this.#open.set(key, [run]);
  }

  #ended(event: RunEvent & LedgerStamp): void {
    const key = runKey(event);
    const open = this.#open.get(key);
    const run = open?.shift();
    if (!run) {
      this.strayEnds.push(event);
      return;
    }
    if (open?.length === 0) this.#open.delete(key);
    run.result = event.event === "handled" ? "handled" : "failed";
    run.endedAt = event.at;
  }
}

function runKey(event: RunEvent & LedgerStamp): string {
  return `${event.pid} ${event.endpoint} ${event.attempt} ${event.id}`;
}
